"""The life of a connection: kept or closed, pipelined, half closed, and many of them."""

import os
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.server import Server
from tests.support.wire import Wire, request

HTTP10 = b"GET / HTTP/1.0\r\n%b\r\n"
ABORT = b"\x01\x00\x00\x00\x00\x00\x00\x00"


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with Wire(server.address) as wire:
        yield wire


def test_a_connection_is_kept(wire: Wire) -> None:
    for _ in range(3):
        answer = wire.send(request()).answer()
        assert (answer.body, answer.header("connection")) == (b"hello", None)


def test_http_1_0_is_closed(wire: Wire) -> None:
    answer = wire.send(HTTP10 % b"").answer()
    assert (answer.body, answer.header("connection")) == (b"hello", "close")
    assert answer.header("content-length") == "5"
    assert wire.is_closed()


def test_http_1_0_is_kept_on_request(wire: Wire) -> None:
    for _ in range(2):
        answer = wire.send(HTTP10 % b"Connection: Keep-Alive\r\n").answer()
        assert (answer.body, answer.header("connection")) == (b"hello", "keep-alive")


def test_http_1_0_gets_no_chunks(wire: Wire) -> None:
    answer = wire.send(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer()
    assert (answer.body, answer.header("transfer-encoding")) == (b"onetwo", None)
    assert answer.header("connection") == "close"


@pytest.mark.parametrize("option", ["close", "Close", "x, close", "keep-alive, close"])
def test_the_client_asks_for_the_close(wire: Wire, option: str) -> None:
    answer = wire.send(request(headers=(f"Connection: {option}",)) + request()).answer()
    assert (answer.body, answer.header("connection")) == (b"hello", "close")
    assert wire.is_closed()


def test_the_application_asks_for_the_close(wire: Wire) -> None:
    answer = wire.send(request("/closing") + request()).answer()
    assert (answer.body, answer.header("connection")) == (b"bye", "close")
    assert wire.is_closed()


def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    bodies = [str(number).encode() * 10 for number in range(50)]
    wire.send(b"".join(request("/echo", method="POST", body=body) for body in bodies))
    assert [wire.answer().body for _ in bodies] == bodies


def test_pipelining_is_bounded(server: Server) -> None:
    """A client that never reads cannot have the server read, and answer, for ever."""
    with Wire(server.address) as wire:
        wire.socket.setblocking(False)
        requests = request("/large?2") * 1000
        sent = pushed = 0
        while sent < 64 * 1024 * 1024:
            writable = select.select([], [wire.socket], [], 0.3)[1]
            if not writable:
                break
            pushed = wire.socket.send(requests[: 256 * 1024])
            sent += pushed
        assert sent < 64 * 1024 * 1024
    with Wire(server.address) as wire:
        assert wire.send(request()).answer().status == 200


def test_one_empty_line_before_a_request_is_ignored(wire: Wire) -> None:
    wire.send(request("/echo", method="POST", body=b"a") + b"\r\n" + request())
    assert [wire.answer().body for _ in range(2)] == [b"a", b"hello"]


def test_a_client_that_has_ended_its_side_gets_all_its_answers(wire: Wire) -> None:
    wire.send(request() + request("/stream") + request("/echo", method="POST", body=b"abc")).end()
    assert [wire.answer().body for _ in range(3)] == [b"hello", b"onetwo", b"abc"]
    assert wire.is_closed()


def test_a_client_that_has_ended_its_side_gets_a_large_answer(wire: Wire) -> None:
    answer = wire.send(request("/large?64")).end().answer()
    assert (len(answer.body), answer.complete) == (64 * 65536, True)


@pytest.mark.parametrize("pause", [False, True])
def test_a_chunked_body_that_ends_with_the_clients_side_is_complete(
    server: Server, pause: bool
) -> None:
    with Wire(server.address) as wire, Wire(server.address) as other:
        wire.send(request("/echo", method="POST", headers=("Transfer-Encoding: chunked",)))
        wire.send(b"3\r\nabc\r\n")
        if pause:
            assert other.send(request()).answer().status == 200
        answer = wire.send(b"0\r\n\r\n").end().answer()
        assert (answer.status, answer.body) == (200, b"abc")


STAGES = {
    "before a byte": b"",
    "in the request line": b"GET / HT",
    "in the header section": b"GET / HTTP/1.1\r\nHost: te",
    "in a body": request("/echo", method="POST", headers=("Content-Length: 9",)) + b"abc",
    "in a chunk": request("/echo", method="POST", headers=("Transfer-Encoding: chunked",))
    + b"9\r\na",
    "behind a request": request(),
    "behind pipelined requests": request() * 20,
    "in a large answer": request("/large?200"),
    "with an unwanted body": request("/ignore", method="POST", headers=("Content-Length: 99999",)),
    "behind a refusal": b"GET\r\n\r\n" + b"a" * 100_000,
}


@pytest.mark.parametrize("abort", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_client_may_vanish_at_every_stage(server: Server, stage: str, abort: bool) -> None:
    for _ in range(5):
        with Wire(server.address) as wire:
            wire.send(STAGES[stage])
            if abort:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    with Wire(server.address) as wire:
        assert wire.send(request()).answer().status == 200


def test_a_thousand_connections(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with ExitStack() as stack:
            wires = [stack.enter_context(Wire(server.address)) for _ in range(1000)]
            for _ in range(2):
                for wire in wires:
                    wire.send(request())
                assert all(wire.answer().body == b"hello" for wire in wires)
            [worker] = server.workers()
            assert len(os.listdir(f"/proc/{worker}/fd")) > 1000
        wait_for_descriptors(worker, 200)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def wait_for_descriptors(process: int, most: int) -> None:
    """Waits until a process has let go of its descriptors; nothing tells of it but /proc."""
    deadline = time.monotonic() + 10
    while len(os.listdir(f"/proc/{process}/fd")) > most:
        assert time.monotonic() < deadline
        select.select([], [], [], 0.01)


def test_no_answer_is_kept_where_nothing_is_kept_alive(frugal: Server) -> None:
    with Wire(frugal.address) as wire:
        answer = wire.send(request() * 2).answer()
        assert (answer.body, answer.header("connection")) == (b"hello", "close")
        assert wire.is_closed()
