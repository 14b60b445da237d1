"""Deadlines: what happens to a client that is slow, each with a server whose patience is half a second.

The client waits for what the server does. That something did not happen is shown by an exchange that still works.
"""

import re
import time
from pathlib import Path

import pytest

from tests.support.server import Server, serving
from tests.support.wire import Wire, request

from .conftest import APPS, SHORT_TIMEOUTS

PATIENCE = 0.5
LATE = 3.0


class Stopwatch:
    """How long something took, which must be near the patience and not before it."""

    def __enter__(self) -> "Stopwatch":
        self._began = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            assert PATIENCE * 0.9 <= time.monotonic() - self._began < LATE


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: test\r\n"])
def test_a_head_that_does_not_end(hasty: Server, data: bytes) -> None:
    with Wire(hasty.address) as wire, Stopwatch():
        assert wire.send(data).answer().status == 408
        assert wire.is_closed()


def test_a_head_that_does_not_end_behind_an_answer(hasty: Server) -> None:
    with Wire(hasty.address) as wire, Stopwatch():
        wire.send(request() + b"GET / HT")
        assert wire.answer().status == 200
        assert wire.answer().status == 408
        assert wire.is_closed()


def test_a_head_that_comes_by_byte_forever(hasty: Server) -> None:
    with Wire(hasty.address) as wire, Stopwatch():
        wire.socket.settimeout(0.02)
        wire.send(b"GET / HTTP/1.1\r\nX-A: ")
        while True:
            wire.send(b"a")
            try:
                data = wire.socket.recv(1)
            except TimeoutError:
                continue
            assert data == b"H"
            break


def test_a_connection_without_a_request_is_closed_without_an_answer(hasty: Server) -> None:
    with Wire(hasty.address) as wire, Stopwatch():
        assert wire.is_closed()


def test_an_idle_connection_is_closed_without_an_answer(hasty: Server) -> None:
    with Wire(hasty.address) as wire, Stopwatch():
        assert wire.send(request()).answer().status == 200
        assert wire.is_closed()


def test_a_body_that_does_not_come(hasty: Server) -> None:
    with Wire(hasty.address) as wire, Stopwatch():
        wire.send(request("/echo", method="POST", headers=("Content-Length: 10",)))
        assert wire.answer().status == 408
        assert wire.is_closed()


def test_a_body_that_comes_too_slowly(hasty: Server) -> None:
    with Wire(hasty.address) as wire, Stopwatch():
        wire.socket.settimeout(0.05)
        wire.send(request("/echo", method="POST", headers=("Content-Length: 10000",)))
        while True:
            wire.send(b"a")
            try:
                data = wire.socket.recv(12)
            except TimeoutError:
                continue
            assert data == b"HTTP/1.1 408"
            break


def test_a_body_that_comes_fast_enough_may_take_longer_than_the_grace(hasty: Server) -> None:
    with Wire(hasty.address) as wire:
        wire.socket.settimeout(0.05)
        pieces = 20
        wire.send(
            request("/count", method="POST", headers=(f"Content-Length: {pieces * 100 + 1}",))
        )
        for _ in range(pieces):
            wire.send(b"a" * 100)
            with pytest.raises(TimeoutError):
                wire.socket.recv(1)
        wire.socket.settimeout(LATE)
        answer = wire.send(b"a").answer()
        assert (answer.status, answer.body) == (200, str(pieces * 100 + 1).encode())


def test_a_client_that_takes_nothing_of_its_answer(hasty: Server) -> None:
    with Wire(hasty.address) as wire:
        wire.send(request("/large?500"))
        hasty.wait_for_log(r"GET /large\?500 ", stream="out")
        answer_is_cut(wire)


def test_an_application_without_end_does_not_fill_the_disk() -> None:
    options = ("plain_wsgi:app", "--write-timeout=1s")
    with serving(*options, cwd=APPS) as server, Wire(server.address) as wire:
        wire.send(request("/endless"))
        produced = server.wait_for_log(r"produced (\d+) MiB", stream="out")
        assert 256 <= int(produced[1]) < 300
        answer_is_cut(wire)


def test_an_answer_beyond_what_the_disk_takes_is_whole() -> None:
    mebibytes = 600
    with serving("plain_wsgi:app", cwd=APPS) as server, Wire(server.address) as wire:
        wire.send(f"GET /large?{mebibytes * 16} HTTP/1.0\r\n\r\n".encode())
        spent = Path(f"/proc/{server.workers()[0]}/io")
        while int(re.findall(r"wchar: (\d+)", spent.read_text())[0]) < 256 << 20:
            assert server.process.poll() is None
        head, _, body = wire.socket.recv(1 << 20).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        length, buffer = len(body), bytearray(1 << 20)
        while count := wire.socket.recv_into(buffer):
            length += count
        assert length == mebibytes << 20


def answer_is_cut(wire: Wire) -> None:
    try:
        assert not wire.answer().complete
    except ConnectionResetError:
        return


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_body_may_wait_for_the_application(interface: str) -> None:
    """A client that waits for 100 (Continue) is not slow: the application is."""
    options = (f"patient_{interface}:app", *SHORT_TIMEOUTS)
    with serving(*options, cwd=APPS) as server, Wire(server.address) as wire:
        head = request("/", method="POST", headers=("Content-Length: 3", "Expect: 100-continue"))
        wire.send(head)
        assert wire.answer().status == 100
        answer = wire.send(b"abc").answer()
        assert (answer.status, answer.body) == (200, b"abc")


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_busy_application_is_not_the_clients_delay(interface: str) -> None:
    """What arrived while the loop was blocked has arrived in time."""
    options = (f"patient_{interface}:app", *SHORT_TIMEOUTS)
    with (
        serving(*options, cwd=APPS) as server,
        Wire(server.address) as idle,
        Wire(server.address) as partial,
        Wire(server.address) as upload,
        Wire(server.address) as blocker,
    ):
        assert idle.send(request("/now")).answer().status == 200
        partial.send(b"GET /now HTTP/1.1\r\n")
        head = request("/", method="POST", headers=("Content-Length: 6",))
        upload.send(head + b"abc")
        blocker.send(request("/block"))
        server.wait_for_log("blocking", stream="out")
        partial.send(b"Host: test\r\n\r\n")
        idle.send(request("/now"))
        upload.send(b"def")
        assert blocker.answer().status == 200
        assert partial.answer().status == 200
        assert idle.answer().status == 200
        answer = upload.answer()
        assert (answer.status, answer.body) == (200, b"abcdef")
