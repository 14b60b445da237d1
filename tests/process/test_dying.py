"""Workers that die are followed by others, and the log says how they died; no worker outlives its parent."""

import os
import re
import select
import signal
import socket
from pathlib import Path

import pytest

from tests.process.conftest import APPS, Start
from tests.support.server import PATIENCE, Server, serving
from tests.support.wire import Wire, request


def worker_of(server: Server) -> int:
    """The worker that answers."""
    with Wire(server.address) as wire:
        answer = wire.send(request()).answer()
        assert answer.status == 200
        return int(answer.body)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_worker_that_is_killed_is_followed(interface: str, number: signal.Signals) -> None:
    with serving(f"{interface}:app", cwd=APPS) as server:
        first = worker_of(server)
        os.kill(first, number)
        cause = (
            "exited with status 0" if number is signal.SIGTERM else f"was killed by {number.name}"
        )
        server.wait_for_log(
            rf"ERROR +worker {first} {cause} after 0 s and [01] requests.*: starting another"
        )
        server.wait_for_log(r"worker \d+ is ready")
        assert worker_of(server) != first


@pytest.mark.parametrize(
    ("path", "cause"), [("/abort", "was killed by SIGABRT"), ("/leave", "exited with status 7")]
)
def test_an_application_that_ends_its_worker(interface: str, path: str, cause: str) -> None:
    with serving(f"{interface}:app", cwd=APPS) as server:
        first = worker_of(server)
        with Wire(server.address) as wire:
            wire.send(request(path))
            assert wire.is_closed()
        server.wait_for_log(rf"worker {first} {cause}")
        server.wait_for_log(r"worker \d+ is ready")
        assert worker_of(server) != first


def test_the_others_serve_while_one_is_missing(interface: str) -> None:
    with serving(f"{interface}:app", "--workers=2", cwd=APPS) as server:
        first, second = server.workers()
        server.wait_for_log(r"worker \d+ is ready")
        os.kill(first, signal.SIGSTOP)
        try:
            # Stopped, the first takes nothing: until it is gone the second does it all.
            assert worker_of(server) == second
        finally:
            os.kill(first, signal.SIGKILL)
        server.wait_for_log(rf"worker {first} was killed by SIGKILL")


def test_system_exit_in_a_request_leaves_the_worker_alone(interface: str) -> None:
    with serving(f"{interface}:app", cwd=APPS) as server:
        first = worker_of(server)
        with Wire(server.address) as wire:
            assert wire.send(request("/exit")).answer().status == 500
        assert worker_of(server) == first


def test_workers_that_keep_dying_are_started_ever_more_slowly(interface: str) -> None:
    with serving(f"{interface}:app", cwd=APPS) as server:
        for count in range(1, 4):
            os.kill(worker_of(server), signal.SIGKILL)
            server.wait_for_log(rf"(?s)(was killed by SIGKILL.*){{{count}}}(worker \d+ is ready)")
    times = [
        int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        for hours, minutes, seconds in re.findall(
            r"(\d\d):(\d\d):(\d\d) .*is ready$", server.log, re.MULTILINE
        )
    ]
    # At once, then a second after the start before, then two.
    assert times[-1] - times[0] >= 2 or times[-1] < times[0]


def test_nothing_outlives_a_parent_that_is_killed(interface: str, start: Start) -> None:
    server = start(f"{interface}:app", "-b", "127.0.0.1:0", "--workers=2").wait_until_ready()
    workers = [os.pidfd_open(pid) for pid in server.workers()]
    try:
        server.signal(signal.SIGKILL)
        # Standard error ends when the last process that has it does.
        assert server.wait() == -signal.SIGKILL
        for worker in workers:
            # A process descriptor becomes readable when its process ends.
            assert select.select([worker], [], [], PATIENCE)[0]
    finally:
        for worker in workers:
            os.close(worker)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(server.address)
        sock.listen()


def test_a_worker_is_killed_with_its_parent_while_it_loads(start: Start, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, signal\nos.write(2, b'app loads\\n')\nsignal.pause()\n"
    )
    server = start("slow:app", "-b", "127.0.0.1:0", cwd=tmp_path)
    server.wait_for_log("app loads")
    server.signal(signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
