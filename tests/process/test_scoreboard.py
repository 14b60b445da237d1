"""What a worker shows on the scoreboard, also while it is blocked, and that its heart beats where it serves."""

import time
from collections.abc import Callable

import pytest

from bicorn._native import Scoreboard
from tests.process.conftest import APPS, Fifo
from tests.support.crew import Crew, crew
from tests.support.server import PATIENCE
from tests.support.wire import Wire, request

BLOCKING = {"asgi": "/stuck", "wsgi": "/wait"}


def slot_of(workers: Crew) -> dict[str, int]:
    return workers.board()[0]


def now_ms() -> float:
    return time.monotonic() * 1000


def test_requests_are_counted_and_timed(interface: str) -> None:
    with crew(f"{interface}:app", 1, cwd=APPS) as workers:
        with Wire(workers.address) as wire:
            for _ in range(3):
                assert wire.send(request("/")).answer().status == 200
            # An answer is counted when it has left, which a client may be faster to see.
            slot = wait_for(workers, lambda slot: slot["requests"] == 3)
        assert slot["pid"] == workers.pids[0]
        assert slot["state"] == 2
        assert (slot["accepted"], slot["connections"]) == (1, 1)
        assert (slot["requests"], slot["exchanges"], slot["errors"]) == (3, 0, 0)
        assert slot["bytes_in"] == 3 * len(request("/"))
        assert slot["bytes_out"] > 3 * len("HTTP/1.1 200 OK")
        (latency,) = workers.latency()
        assert sum(latency) == 3
        assert sum(latency[:4]) == 0, "an answer takes longer than 8 microseconds"


def test_a_failure_is_counted(interface: str) -> None:
    with crew(f"{interface}:app", 1, cwd=APPS) as workers, Wire(workers.address) as wire:
        assert wire.send(request("/raise")).answer().status == 500
        wait_for(workers, lambda slot: slot["errors"] == 1)


def test_a_blocked_worker_shows_what_it_is_doing(interface: str, fifo: Fifo) -> None:
    path = BLOCKING[interface]
    with (
        crew(f"{interface}:app", 1, cwd=APPS, environment={"REQUEST_FIFO": fifo.path}) as workers,
        Wire(workers.address) as wire,
    ):
        wire.send(request(f"{path}?secret=1"))
        with fifo.held():
            slot = slot_of(workers)
            assert slot["exchanges"] == 1
            host, port = wire.socket.getsockname()
            ((name, method, shown, peer, age),) = workers.requests()[0]
            assert name.split("-")[0] == f"{workers.pids[0]:x}"
            assert (method, shown, peer) == ("GET", path, f"{host}:{port}")
            assert 0 <= age < PATIENCE * 1000
        wire.answer()
        wait_for(workers, lambda slot: slot["exchanges"] == 0)
        assert workers.requests() == [[]]


def test_an_inline_call_shows_that_the_worker_is_busy(fifo: Fifo) -> None:
    environment = {"REQUEST_FIFO": fifo.path}
    with (
        crew("wsgi:app", 1, cwd=APPS, environment=environment) as workers,
        Wire(workers.address) as wire,
    ):
        wire.send(request("/wait"))
        with fifo.held():
            slot = slot_of(workers)
            assert (slot["busy_threads"], slot["turn"]) == (1, 1)
        wire.answer()
        wait_for(workers, lambda slot: (slot["busy_threads"], slot["turn"]) == (0, 0))


def test_an_idle_heart_beats(interface: str) -> None:
    with crew(f"{interface}:app", 1, cwd=APPS, hang_timeout=0.1) as workers:
        first = slot_of(workers)["heartbeat_ms"]
        assert abs(now_ms() - first) < PATIENCE * 1000
        second = wait_for(workers, lambda slot: slot["heartbeat_ms"] > first)["heartbeat_ms"]
        assert second - first >= 50
        wait_for(workers, lambda slot: slot["heartbeat_ms"] > second)


def test_without_a_threshold_no_heart_beats(interface: str) -> None:
    with crew(f"{interface}:app", 2, cwd=APPS, hang_timeout=0) as workers:
        with Wire(workers.address) as wire:
            wire.send(request("/")).answer()
        first = wait_for(workers, lambda slot: slot["turn"] == 0)["heartbeat_ms"]
        deadline = now_ms() + 700
        while now_ms() < deadline:
            assert slot_of(workers)["heartbeat_ms"] <= first + 100


@pytest.mark.parametrize(
    ("app", "path"), [("asgi", "/stuck"), ("asgi", "/stuck-later"), ("wsgi", "/wait")]
)
def test_the_heart_of_a_blocked_worker_stands_still_and_the_lag_is_told(
    app: str, path: str, fifo: Fifo
) -> None:
    environment = {"REQUEST_FIFO": fifo.path}
    with (
        crew(f"{app}:app", 1, cwd=APPS, environment=environment, hang_timeout=0.1) as workers,
        Wire(workers.address) as wire,
    ):
        wire.send(request(path))
        with fifo.held():
            first = slot_of(workers)["heartbeat_ms"]
            while now_ms() < first + 300:
                assert slot_of(workers)["heartbeat_ms"] == first
        wire.answer()
        slot = wait_for(workers, lambda slot: slot["heartbeat_ms"] > first)
        assert slot["lag_us"] > 200_000


def test_many_slow_calls_in_one_turn_are_no_standstill(fifo: Fifo) -> None:
    """Requests that came together are one turn of the engine: the heart beats between them."""
    environment = {"REQUEST_FIFO": fifo.path}
    with (
        crew("wsgi:app", 1, cwd=APPS, environment=environment, hang_timeout=0) as workers,
        Wire(workers.address) as wire,
    ):
        wire.send(request("/wait") * 3)
        beats = []
        for _ in range(3):
            with fifo.held():
                slot = slot_of(workers)
                beats.append(slot["heartbeat_ms"])
                until = now_ms() + 20
                while now_ms() < until:
                    assert slot_of(workers)["heartbeat_ms"] == beats[-1]
            wire.answer()
        assert beats[0] + 15 < beats[1] < beats[1] + 15 < beats[2]


def wait_for(workers: Crew, is_so: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    deadline = time.monotonic() + PATIENCE
    while not is_so(slot := slot_of(workers)):
        assert time.monotonic() < deadline, slot
    return slot


def test_a_slot_is_cleared_for_the_next_worker() -> None:
    board = Scoreboard(2)
    board.set_generation(1, 3)
    assert [board.read(slot)["generation"] for slot in range(len(board))] == [0, 3]
    board.clear(1)
    assert set(board.read(1).values()) == {0}


def test_there_is_no_slot_beyond_the_last() -> None:
    board = Scoreboard(2)
    for ask in (board.read, board.clear, board.latency, board.requests):
        with pytest.raises(IndexError, match="no such slot"):
            ask(2)
