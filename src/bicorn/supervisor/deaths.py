"""Why a process ended, in words: its exit status, its signal, or the kernel for want of memory."""

from __future__ import annotations

import os
import signal

MOST_REQUESTS = 5
"""Requests in flight that a line names."""


class OutOfMemory:
    """Notices that the kernel has killed for want of memory in this process's control group."""

    def __init__(self) -> None:
        self._path = _events_path()
        self._seen = self._count()

    def has_struck(self) -> bool:
        """Whether it has since the last time."""
        count = self._count()
        former, self._seen = self._seen, count
        return count > former

    def _count(self) -> int:
        if not self._path:
            return 0
        try:
            with open(self._path, "rb") as events:
                counts = [line.split() for line in events]
            return sum(int(value) for name, value in counts if name == b"oom_kill")
        except (OSError, ValueError):
            return 0


def _events_path() -> str:
    """The file of control groups' version 2 or 1 that counts such kills; empty where there is none."""
    try:
        with open("/proc/self/cgroup") as groups:
            lines = [line.rstrip("\n").split(":", 2) for line in groups]
    except OSError:
        return ""
    candidates = []
    for _, controllers, path in lines:
        if not controllers:
            candidates += [f"/sys/fs/cgroup{path}/memory.events", "/sys/fs/cgroup/memory.events"]
        elif "memory" in controllers.split(","):
            root = "/sys/fs/cgroup/memory"
            candidates += [f"{root}{path}/memory.oom_control", f"{root}/memory.oom_control"]
    return next((path for path in candidates if os.access(path, os.R_OK)), "")


def describe(wait_status: int, *, is_out_of_memory: bool = False) -> str:
    """How a process ended that ``waitpid`` gave this status for."""
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        if number == signal.SIGKILL and is_out_of_memory:
            return "was killed by the kernel: out of memory (SIGKILL)"
        try:
            return f"was killed by {signal.Signals(number).name}"
        except ValueError:
            return f"was killed by signal {number}"
    return f"exited with status {os.WEXITSTATUS(wait_status)}"


def name_requests(requests: list[tuple[str, str, str, str, int]]) -> str:
    """The requests that a worker had in flight, as the end of a line; empty if there were none."""
    if not requests:
        return ""
    from bicorn.supervisor.stacks import printable

    shown = [
        f"{method} {path} from {peer} for {age / 1000:.1f} s ({identity})"
        for identity, method, path, peer, age in requests[:MOST_REQUESTS]
    ]
    more = len(requests) - len(shown)
    return ", in flight: " + printable(", ".join(shown)) + (f" and {more} more" if more > 0 else "")
