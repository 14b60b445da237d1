"""What the parent tells of its workers, with real processes that hang."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from bicorn._native import __version__
from bicorn.config import Config
from bicorn.log.line import LineLog
from bicorn.supervisor.channel import Channel
from bicorn.supervisor.generation import Generation
from bicorn.supervisor.handle import WorkerHandle
from bicorn.supervisor.loop import Loop
from bicorn.supervisor.place import Place
from bicorn.supervisor.reporting import Reporting
from bicorn.supervisor.roster import Roster
from tests.process.apps.hanging import in_a_deadlock, in_c_with_the_gil, in_sleep
from tests.support.hanging import hanging, until


class Facts:
    """A scoreboard on which every worker has been away for 30 seconds, with one request."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def read(self, slot: int) -> dict[str, int]:
        return {"heartbeat_ms": int((self._loop.now() - 30) * 1000), "turn": 1, "exchanges": 1}

    def requests(self, slot: int) -> Sequence[tuple[str, str, str, str, int]]:
        return [(f"{slot}-1", "GET", f"/slow/{slot}", "192.0.2.7:99", 30_000)]


@pytest.fixture
def roster() -> Roster:
    return Roster(Generation(7, Config(hang_timeout=2.0), []), lambda *_: None, pytest.fail)


@pytest.fixture
def reporting(loop: Loop, roster: Roster) -> Reporting:
    return Reporting(loop, Facts(loop), LineLog("info"), roster)  # type: ignore[arg-type]


@contextmanager
def worker_that(work: Callable[[], object], loop: Loop, roster: Roster) -> Iterator[WorkerHandle]:
    with socket.socket() as sock, hanging(loop, work) as (pid, witness):
        slot = len(roster.workers)
        channel = Channel(sock)
        worker = WorkerHandle(Place(0), roster.current, slot, channel, witness, loop.now())
        worker.note_born(pid)
        roster.workers.append(worker)
        yield worker


def test_a_report_in_the_log(
    loop: Loop, roster: Roster, reporting: Reporting, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[bool] = []
    with worker_that(in_c_with_the_gil, loop, roster) as worker:
        reporting.report(worker, "is late", lambda: done.append(True))
        assert done == []
        until(loop, lambda: bool(done))
    first, second, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith(f"worker {worker.pid} is late: its report follows")
    assert second.startswith(f"worker {worker.pid} has not come back for 30.0 s: File ")
    assert second.endswith(", doing GET /slow/0 (request 0-1)")
    assert any("in in_c_with_the_gil" in line or "in hanging" in line for line in rest)


def test_all_workers_at_once(loop: Loop, roster: Roster, reporting: Reporting) -> None:
    replies: list[str] = []
    with (
        worker_that(in_sleep, loop, roster) as first,
        worker_that(in_a_deadlock, loop, roster) as second,
    ):
        reporting.commands["dump"](replies.append, [])
        # Somebody else asks meanwhile.
        reporting.commands["dump"](replies.append, [])
        until(loop, lambda: len(replies) == 2)
        one, other = replies[0].split("\n\n")
        assert one.startswith(f"worker {first.pid} has not come back")
        assert other.startswith(f"worker {second.pid} has not come back")
        # They were asked, and nothing else was done to them.
        assert os.waitpid(first.pid, os.WNOHANG) == (0, 0)
        assert os.waitpid(second.pid, os.WNOHANG) == (0, 0)


def test_one_that_ends_while_it_is_asked(loop: Loop, roster: Roster, reporting: Reporting) -> None:
    replies: list[str] = []
    with worker_that(in_sleep, loop, roster) as worker:
        reporting.commands["dump"](replies.append, [])
        worker.witness.close()
        assert len(replies) == 1


def test_without_workers(reporting: Reporting) -> None:
    replies: list[str] = []
    reporting.commands["dump"](replies.append, [])
    assert replies == ["there is no worker\n"]


def test_the_status(loop: Loop, roster: Roster, reporting: Reporting) -> None:
    replies: list[str] = []
    reporting.state, reporting.last_reload = "serving", "done"
    with worker_that(in_sleep, loop, roster) as worker:
        reporting.commands["status"](replies.append, [])
    status = json.loads(replies[0])
    # Of the code that runs, whatever has been installed since it was started.
    assert status["version"] == __version__
    assert (status["state"], status["last_reload"], status["generation"]) == ("serving", "done", 7)
    (listed,) = status["workers"]
    assert listed["pid"] == worker.pid
    assert (listed["state"], listed["generation"], listed["in_flight"]) == ("starting", 7, 1)
    assert listed["memory"] > 1 << 20
    assert 29 < listed["blocked"] < 60
