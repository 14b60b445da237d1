"""The plain host: one thread that waits, calls the application, and gets out of both when it is told to."""

import signal
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from bicorn.errors import BindError
from bicorn.hosts import Job
from bicorn.hosts.plain import serve
from tests.support.wire import Wire, request
from tests.unit.hosts.conftest import run, stop

StartResponse = Callable[[str, list[tuple[str, str]]], object]


def thread_and_facts(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    is_main = threading.current_thread() is threading.main_thread()
    return [f"{is_main} {environ['wsgi.multithread']} {environ['wsgi.multiprocess']}".encode()]


@pytest.mark.parametrize("workers", [1, 2])
def test_it_calls_the_application_in_its_own_thread(workers: int) -> None:
    def client(wire: Wire) -> None:
        body = f"True False {workers > 1}".encode()
        assert wire.send(request()).answer().body == body

    assert run(serve, thread_and_facts, client, workers=workers) == ["serving", "draining"]


def test_what_is_in_flight_is_answered_however_many_signals_come() -> None:
    def app(_environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        for _ in range(3):
            stop()
        start_response("200 OK", [])
        return [b"whole"]

    def client(wire: Wire) -> None:
        answer = wire.send(request()).answer()
        assert (answer.body, answer.header("connection")) == (b"whole", "close")

    assert run(serve, app, client) == ["serving", "draining"]


def test_a_host_that_cannot_listen_leaves_the_signals_alone() -> None:
    def taken(job: Job) -> None:
        port = int(job.listeners[0].url.rpartition(":")[2])
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            serve(job)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with pytest.raises(BindError, match="has it: stop that"):
        run(taken, thread_and_facts)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
