"""Connections spread over the workers; one that is blocked, full or out of descriptors gets none."""

import os
import select
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.process.conftest import APPS, Fifo
from tests.support.crew import Crew, crew
from tests.support.server import PATIENCE
from tests.support.wire import Wire, request

WORKERS = 4

Address = tuple[str, int]

CLOSING = request(headers=("Connection: close",))


def ask(address: Address, data: bytes = CLOSING) -> int:
    """The worker that answers on a connection of its own."""
    with Wire(address) as wire:
        return int(wire.send(data).answer().body)


def ask_often(address: Address, count: int) -> "Counter[int]":
    """So many connections, a few of them at a time; which worker answered how many."""
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda _: ask(address), range(count)))


def accepted(workers: Crew) -> list[int]:
    return [slot["accepted"] for slot in workers.board()]


def is_even(counts: Collection[int]) -> bool:
    """Whether each of the workers has its share, within 10 %."""
    mean = sum(counts) / WORKERS
    return len(counts) == WORKERS and all(abs(count - mean) <= 0.1 * mean for count in counts)


# A worker that a busy machine keeps from running is passed over, as it should be, so a try may be uneven. What
# is dealt out without regard to the workers is uneven in every one.
TRIES = 6


def test_kept_connections_spread_evenly(interface: str) -> None:
    """Each client asks again and again: what one worker has more of, it has more of for long."""
    tries = []
    with crew(f"{interface}:app", WORKERS, cwd=APPS) as workers:
        for _ in range(TRIES):
            answered: Counter[int] = Counter()
            with ExitStack() as stack:
                wires = [stack.enter_context(Wire(workers.address)) for _ in range(80)]
                for wire in wires * 3:
                    answered[int(wire.send(request("/")).answer().body)] += 1
            tries.append(answered)
            if is_even(answered.values()):
                return
    raise AssertionError(tries)


def test_short_connections_spread_evenly(interface: str) -> None:
    """Who was passed over makes up for it."""
    with crew(f"{interface}:app", WORKERS, cwd=APPS) as workers:
        answered: Counter[int] = Counter()
        for _ in range(TRIES):
            answered += ask_often(workers.address, 1000)
            if is_even(answered.values()):
                return
    raise AssertionError(answered)


def test_one_connection_after_the_other_spreads_too(interface: str) -> None:
    with crew(f"{interface}:app", WORKERS, cwd=APPS) as workers:
        answered: Counter[int] = Counter()
        for _ in range(TRIES):
            answered += Counter(ask(workers.address) for _ in range(500))
            if is_even(answered.values()):
                return
    raise AssertionError(answered)


@contextmanager
def blocked(workers: Crew, path: str, fifo: Fifo) -> Iterator[int]:
    """A worker that is blocked in its application; its slot."""
    with Wire(workers.address) as wire:
        wire.send(request(path))
        with fifo.held():
            (slot,) = (slot for slot, listed in enumerate(workers.requests()) if listed)
            yield slot
        assert int(wire.answer().body) == workers.pids[slot]


@pytest.mark.parametrize(
    ("app", "path", "loop"),
    [
        ("asgi:app", "/stuck", "asyncio"),
        ("asgi:app", "/stuck-later", "asyncio"),
        ("asgi:app", "/stuck-later", "auto"),
        ("wsgi:app", "/wait", "auto"),
    ],
)
def test_nobody_waits_for_a_worker_that_is_blocked(
    app: str, path: str, loop: str, fifo: Fifo
) -> None:
    environment = {"REQUEST_FIFO": fifo.path}
    with (
        crew(app, WORKERS, cwd=APPS, environment=environment, loop=loop) as workers,
        blocked(workers, path, fifo) as slot,
    ):
        before = accepted(workers)
        answered = ask_often(workers.address, 600)
        assert workers.pids[slot] not in answered
        assert accepted(workers)[slot] == before[slot]
        # The others share what it does not take.
        assert len(answered) == WORKERS - 1


def test_nobody_waits_for_a_worker_that_is_stopped(interface: str) -> None:
    with crew(f"{interface}:app", 2, cwd=APPS) as workers:
        os.kill(workers.pids[0], signal.SIGSTOP)
        assert set(ask_often(workers.address, 100)) == {workers.pids[1]}
        os.kill(workers.pids[0], signal.SIGCONT)
        # It is believed again, and gets what it has missed.
        while workers.board()[0]["accepted"] == 0:
            ask(workers.address)


def test_a_full_worker_leaves_connections_to_the_others(interface: str) -> None:
    with (
        crew(f"{interface}:app", 2, cwd=APPS, max_connections=3) as workers,
        ExitStack() as stack,
    ):
        wires = [stack.enter_context(Wire(workers.address)) for _ in range(6)]
        pids = Counter(int(wire.send(request("/")).answer().body) for wire in wires)
        assert pids == dict.fromkeys(workers.pids, 3)


def test_at_the_limit_connections_wait_without_a_busy_loop(interface: str) -> None:
    with (
        crew(f"{interface}:app", 1, cwd=APPS, max_connections=2) as workers,
        Wire(workers.address) as first,
        Wire(workers.address) as second,
    ):
        for wire in (first, second):
            wire.send(request("/")).answer()
        with Wire(workers.address) as third:
            third.send(request("/"))
            before = switches(workers.pids[0])
            assert not select.select([third.socket], [], [], 0.3)[0]
            assert switches(workers.pids[0]) - before < 20
            assert workers.board()[0]["connections"] == 2
            second.close()
            assert third.answer().status == 200


def switches(pid: int) -> int:
    """How often the process has waited, or was made to."""
    status = Path(f"/proc/{pid}/status").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)


def test_exhaustion_pauses_accepting_and_says_so(interface: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as sink:
        descriptor = sink.fileno()
        with (
            crew(f"{interface}:app", 1, cwd=APPS, descriptors=64, log=descriptor) as workers,
            ExitStack() as stack,
        ):
            wires = [stack.enter_context(Wire(workers.address)) for _ in range(80)]
            for wire in wires:
                wire.send(request("/"))
            ready = Counter(bool(select.select([wire.socket], [], [], 0)[0]) for wire in wires)
            assert ready[False] > 0
            deadline = time.monotonic() + PATIENCE
            began = time.monotonic()
            while "cannot accept connections" not in log.read_text():
                assert time.monotonic() < deadline
                wires[0].answer()
                wires[0].send(request("/"))
            # Those who were not accepted are, once others have left.
            for wire in wires[:40]:
                wire.close()
            for wire in wires[40:]:
                assert wire.answer().status == 200
            took = time.monotonic() - began
        complaints = log.read_text().count("cannot accept connections: Too many open files")
        assert 1 <= complaints <= 1 + took
        assert "--max-connections" in log.read_text()
