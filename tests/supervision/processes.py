"""What the kernel tells of processes: who lives, and what each one holds and uses."""

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server import PATIENCE

TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def watched(*pids: int) -> Iterator[dict[int, int]]:
    """A descriptor for each process, so that nobody else can come to bear its number meanwhile."""
    held = {pid: os.pidfd_open(pid) for pid in pids}
    try:
        yield held
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def wait_for_end(descriptor: int, limit: float = PATIENCE) -> bool:
    """Whether a watched process ends in time; as a zombie it has."""
    return bool(select.select([descriptor], [], [], limit)[0])


def until(holds: Callable[[], object], limit: float = PATIENCE) -> None:
    """For what nobody tells: looks until it is so."""
    over = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < over, f"it did not come to {holds}"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    return [int(child) for child in read(pid, f"task/{pid}/children").split()]


def descriptors(pid: int) -> list[str]:
    """What a process has open, sorted; the numbers of pipes and sockets are not told."""
    kinds = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds.append(os.readlink(f"/proc/{pid}/fd/{name}").partition("[")[0])
        except FileNotFoundError:
            continue
    return sorted(kinds)


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def share_of_memory(pid: int) -> int:
    """Bytes, what is shared divided among those who share it. None for a process that has ended."""
    try:
        text = read(pid, "smaps_rollup")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:"))


def processor_time(pid: int) -> float:
    """Seconds in the process and in the kernel for it."""
    fields = read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def wakes(pid: int) -> int:
    """How often its threads have waited for something."""
    return sum(
        int(line.split()[1])
        for task in os.listdir(f"/proc/{pid}/task")
        for line in read(pid, f"task/{task}/status").splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()
