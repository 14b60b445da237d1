"""A running server is asked what its workers do, and says so by itself of one that hangs."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.process.apps.hanging import WAYS
from tests.process.conftest import APPS
from tests.support.server import Server, serving
from tests.support.wire import Wire, request


def bicorn(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bicorn", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def one_that_is_back(server: Server) -> int:
    """Waits for another worker in the place of the first; its process."""
    return int(server.wait_for_log(r"worker (\d+) is ready")[1])


@pytest.mark.parametrize("path", WAYS)
def test_one_that_hangs_is_reported_and_replaced(interface: str, path: str) -> None:
    name = path.removeprefix("/")
    with serving(
        f"hanging:{interface}", "--lifespan=off", "--hang-timeout=0.5", cwd=APPS
    ) as server:
        with Wire(server.address) as wire:
            wire.send(request(path))
            server.wait_for_log(
                r"^worker \d+ has not come back for [\d.]+ s: "
                rf'File ".*/apps/hanging.py", line \d+ in {name}, '
                rf"doing GET {path} \(request \S+\)$"
            )
        one_that_is_back(server)
        with Wire(server.address) as wire:
            assert wire.send(request()).answer().body == b"done"


def test_one_that_was_stopped_is_reported_and_replaced(interface: str) -> None:
    with serving(
        f"hanging:{interface}", "--lifespan=off", "--hang-timeout=0.5", cwd=APPS
    ) as server:
        os.kill(server.workers()[0], signal.SIGSTOP)
        server.wait_for_log(r"^worker \d+ has not come back for [\d.]+ s: it is stopped \(state T")
        one_that_is_back(server)
        with Wire(server.address) as wire:
            assert wire.send(request()).answer().body == b"done"


def test_dump_tells_what_each_worker_does_and_ends_none() -> None:
    with serving("hanging:asgi", "--lifespan=off", "--workers=2", cwd=APPS) as server:
        server.wait_for_log(r"worker \d+ is ready")
        workers = server.workers()
        with Wire(server.address) as wire:
            wire.send(request("/wait"))
            begun = b""
            while b"begun" not in begun:
                begun += wire.socket.recv(4096)
            told = bicorn("dump", "--pid", str(server.pid))
        assert all(f"worker {pid} (serving) is not blocked\n" in told for pid in workers)
        assert " GET /wait from 127.0.0.1:" in told
        assert "task 'bicorn-request': asgi, GET /wait (most recent call first):\n" in told
        assert server.workers() == workers
        # The answer never ends by itself.
        server.signal(signal.SIGQUIT)


def test_the_status(interface: str) -> None:
    with serving(f"hanging:{interface}", "--lifespan=off", cwd=APPS) as server:
        with Wire(server.address) as wire:
            assert wire.send(request()).answer().status == 200
        status = json.loads(bicorn("status", "--json", "--pid", str(server.pid)))
        assert (status["pid"], status["state"]) == (server.pid, "serving")
        assert [worker["pid"] for worker in status["workers"]] == server.workers()
        assert status["workers"][0]["requests"] == 1
        assert str(server.pid) in bicorn("status", "--pid", str(server.pid))
