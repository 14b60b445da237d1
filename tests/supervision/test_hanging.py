"""A worker that hangs, in each way in which one can, is named with where it hangs, and is followed by another."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process.conftest import Fifo
from tests.supervision import told
from tests.supervision.conftest import APPS, SOAK, Figure, Start, only_of_killed
from tests.supervision.processes import wait_for_end, watched
from tests.support.load import load
from tests.support.server import Server
from tests.support.wire import Wire, request

THRESHOLD = 3.0 if SOAK else 1.0
REPLACED_WITHIN = THRESHOLD + (1.0 if SOAK else 8.0)
GRACE = 1.0
"""Seconds between the two signals that end a worker which cannot take the first."""
RATE = 400
"""Requests a second: what is measured is the server, not how it shares two processors with its clients."""
WAYS = [("wsgi", "gil"), ("wsgi", "python"), ("asgi", "lock"), ("asgi", "sleep")]
if SOAK:
    WAYS = [
        (interface, way)
        for interface in ("wsgi", "asgi")
        for way in ("gil", "python", "lock", "sleep")
    ]


@pytest.mark.parametrize(("interface", "way"), WAYS)
def test_a_worker_that_hangs(start: Start, interface: str, way: str, figure: Figure) -> None:
    server = start(f"echo_{interface}", f"--hang-timeout={THRESHOLD:g}s")
    with load(server.address, rate=RATE) as clients, Wire(server.address) as wire:
        clients.wait_for_answers(each=5)
        hung = worker_behind(wire)
        with replaced_in_time(server, hung, figure):
            wire.send(request(f"/hang/{way}"))
        clients.wait_for_answers(each=5)
        result = clients.result()
    only_of_killed(result, {hung})
    report = report_in(server, hung)
    assert f"/hang/{way}" in report
    assert re.search(rf"content\.py\W+line {line_of(way)}\b", report), report


def test_a_worker_that_somebody_has_stopped(
    start: Start, fifo: Fifo, interface: str, figure: Figure
) -> None:
    server = start(f"echo_{interface}", f"--hang-timeout={THRESHOLD:g}s")
    with load(server.address, rate=RATE) as clients, Wire(server.address) as wire:
        clients.wait_for_answers(each=5)
        stopped = worker_behind(wire)
        wire.send(request("/slow/one"))
        server.wait_for_log("app is slow")
        with replaced_in_time(server, stopped, figure):
            os.kill(stopped, signal.SIGSTOP)
        clients.wait_for_answers(each=5)
        result = clients.result()
    only_of_killed(result, {stopped})
    report = report_in(server, stopped)
    assert "/slow/one" in report
    assert re.search(told.STOPPED, report), report


def worker_behind(wire: Wire) -> int:
    """Who answers on this connection."""
    answer = wire.send(request("/echo/who")).answer()
    return int(answer.header("x-worker") or 0)


@contextmanager
def replaced_in_time(server: Server, hung: int, figure: Figure) -> Iterator[None]:
    """From when a worker begins to hang until it has ended, after its report, and another one serves."""
    mark = len(server.log)
    with watched(hung) as held:
        began = time.monotonic()
        yield
        reported = server.wait_for_log(told.report_of(hung), after=mark)
        server.wait_for_log(told.READY, after=mark)
        ready = time.monotonic() - began
        assert wait_for_end(held[hung])
        ended = time.monotonic() - began
    figure(
        f"another serves after {ready:.2f} s, it has ended after {ended:.2f} s of {THRESHOLD:g} s"
    )
    assert ready <= REPLACED_WITHIN
    assert ended <= REPLACED_WITHIN + GRACE
    assert reported.start() < server.wait_for_log(told.end_of(hung, "killed"), after=mark).start()


def report_in(server: Server, pid: int) -> str:
    """A report is one piece: it ends where the next line of the log begins."""
    log = server.log
    begin = re.search(told.report_of(pid), log)
    assert begin, log
    end = re.compile(r"^\d{4}-\d\d-\d\d ", re.MULTILINE).search(log, begin.end())
    return log[begin.start() : end.start() if end else None]


def line_of(way: str) -> int:
    """Where the application says that it hangs in this way."""
    lines = (Path(APPS) / "content.py").read_text().splitlines()
    [line] = [number for number, text in enumerate(lines, 1) if text.endswith(f"# mark: {way}")]
    return line
