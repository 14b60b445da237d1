"""A worker that ends: what becomes of its connections, one by one, and of answers that have no end."""

import select
import signal
import socket
import time

import pytest

from tests.process.conftest import Fifo, Start, refuses
from tests.support.server import Server
from tests.support.wire import Wire, request

LATELY, LONG_AGO = 0.8, 1.2
"""Seconds for which a connection was used lately, and after which it was not: 1 s, with room for a busy machine."""


def started(start: Start, app: str, *arguments: str, fifo: Fifo | None = None) -> Server:
    environment = {"REQUEST_FIFO": fifo.path} if fifo else {}
    server = start(app, "-b", "127.0.0.1:0", *arguments, environment=environment)
    return server.wait_until_ready()


def told_to_stop(server: Server) -> None:
    """Returns when the worker has begun to drain: nobody listens any more."""
    server.signal(signal.SIGTERM)
    while not refuses(server.address[1]):
        assert server.process.poll() is None, server.log


def asked(server: Server) -> Wire:
    """A kept connection, with one request answered."""
    wire = Wire(server.address)
    assert wire.send(request()).answer().header("connection") is None
    return wire


def test_a_connection_that_was_used_lately_may_bring_one_more_request(
    interface: str, start: Start
) -> None:
    while True:
        server = started(start, f"{interface}:app")
        with asked(server) as kept, Wire(server.address) as new, Wire(server.address) as begun:
            was_used = time.monotonic()
            begun.send(request()[:-2])
            told_to_stop(server)
            for wire, rest in ((kept, request()), (new, request()), (begun, b"\r\n")):
                wire.send(rest)
            if time.monotonic() - was_used > LATELY:
                # The machine was too busy: once more.
                continue
            for wire in (kept, new, begun):
                answer = wire.answer()
                assert (answer.status, answer.header("connection")) == (200, "close")
                assert wire.is_closed()
        assert server.wait() == 0, server.log
        return


def test_an_idle_connection_is_closed_at_once_and_in_good_order(
    interface: str, start: Start
) -> None:
    server = started(start, f"{interface}:app")
    with asked(server) as idle:
        assert select.select([idle.socket], [], [], LONG_AGO) == ([], [], [])
        with asked(server) as busy:
            server.signal(signal.SIGTERM)
            first, _, _ = select.select([idle.socket, busy.socket], [], [])
            assert first == [idle.socket]
            assert idle.is_closed()
            # A request that has crossed the end on its way finds an end, and no reset.
            assert idle.send(request()).is_closed()
    assert server.wait() == 0, server.log


def test_connections_that_nobody_uses_or_closes_do_not_hold_up_the_end(
    interface: str, start: Start
) -> None:
    server = started(start, f"{interface}:app")
    with asked(server), Wire(server.address):
        server.signal(signal.SIGTERM)
        assert server.wait() == 0, server.log


def test_an_answer_that_promised_to_go_on_is_kept_to(start: Start, fifo: Fifo) -> None:
    """Its head had left before the end was known."""
    server = started(start, "streams:app", "--stream-grace=0", fifo=fifo)
    with Wire(server.address) as wire:
        wire.send(request("/deaf"))
        server.wait_for_log("app began")
        told_to_stop(server)
        fifo.release()
        answer = wire.answer()
        assert (answer.body, answer.header("connection")) == (b"began whole", None)
        answer = wire.send(request("/ended")).answer()
        assert (answer.body, answer.header("connection")) == (b"began ended", "close")
        assert wire.is_closed()
    assert server.wait() == 0, server.log


@pytest.mark.parametrize(
    ("path", "body", "is_complete"),
    [
        ("/ended", b"began ended", True),
        ("/once", b"began not again", True),
        ("/abandoned", b"began ", False),
    ],
)
def test_a_stream_is_asked_to_end(start: Start, path: str, body: bytes, is_complete: bool) -> None:
    server = started(start, "streams:app", "--stream-grace=0")
    with Wire(server.address) as wire:
        wire.send(request(path))
        wait_for_the_first_piece(wire)
        server.signal(signal.SIGTERM)
        answer = wire.answer()
        assert (answer.body, answer.complete) == (body, is_complete)
        assert wire.is_closed()
    assert server.wait() == 0, server.log
    assert "Traceback" not in server.log


def test_a_stream_has_its_grace(start: Start) -> None:
    """The witness, which is read on, is closed when it is no longer used lately: 1 s before the stream is told."""
    server = started(start, "streams:app", "--stream-grace=2s")
    with Wire(server.address) as witness, Wire(server.address) as wire:
        wire.send(request("/ended"))
        # All of the answer's first part.
        while not wire.socket.recv(65536, socket.MSG_PEEK).endswith(b"began \r\n"):
            pass
        server.signal(signal.SIGTERM)
        assert witness.is_closed()
        assert wire.socket.recv(65536, socket.MSG_PEEK).endswith(b"began \r\n")
        assert wire.answer().body == b"began ended"
    assert server.wait() == 0, server.log


def test_an_answer_that_begins_after_the_grace_is_asked_to_end_too(
    start: Start, fifo: Fifo
) -> None:
    server = started(start, "streams:app", "--stream-grace=0", fifo=fifo)
    with Wire(server.address) as wire, Wire(server.address) as witness:
        wire.send(request("/late"))
        server.wait_for_log("app waits")
        witness.send(request("/ended"))
        wait_for_the_first_piece(witness)
        server.signal(signal.SIGTERM)
        assert witness.answer().body == b"began ended"
        fifo.release()
        assert wire.answer().body == b"began ended"
    assert server.wait() == 0, server.log


def test_an_application_that_does_not_ask_sends_on(start: Start, fifo: Fifo) -> None:
    server = started(start, "streams:app", "--stream-grace=0", fifo=fifo)
    with Wire(server.address) as wire, Wire(server.address) as witness:
        wire.send(request("/deaf"))
        server.wait_for_log("app began")
        witness.send(request("/ended"))
        wait_for_the_first_piece(witness)
        server.signal(signal.SIGTERM)
        assert witness.answer().body == b"began ended"
        fifo.release()
        answer = wire.answer()
        assert (answer.body, answer.complete) == (b"began whole", True)
    assert server.wait() == 0, server.log


def wait_for_the_first_piece(wire: Wire) -> None:
    """Without taking it."""
    assert wire.socket.recv(1, socket.MSG_PEEK)
