"""Request bodies: framing, 100 (Continue), and what becomes of a body that nobody wants."""

from collections.abc import Iterator

import pytest

from tests.support.server import Server
from tests.support.wire import Wire, request

CHUNKED = request("/echo", method="POST", headers=("Transfer-Encoding: chunked",))
EXPECTING = ("Expect: 100-continue", "Content-Length: 3")


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with Wire(server.address) as wire:
        yield wire


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 65_537, 262_144, 262_145, 3_000_000])
def test_a_body_of_known_length(wire: Wire, length: int) -> None:
    body = bytes(length % 251 for length in range(length))
    for _ in range(2):
        assert wire.send(request("/echo", method="POST", body=body)).answer().body == body


CHUNKINGS = {
    "one chunk": (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "none": (b"0\r\n\r\n", b""),
    "many": (b"1\r\na\r\n" * 1000 + b"0\r\n\r\n", b"a" * 1000),
    "hexadecimal in both cases": (b"A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", b"0123456789" * 2 + b"a"),
    "leading zeros": (b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    "extensions": (b'3;a=b;c="d\\"e"\r\nabc\r\n0;f\r\n\r\n', b"abc"),
    "trailers": (b"3\r\nabc\r\n0\r\nX-A: b\r\nX-C: d\r\n\r\n", b"abc"),
    "a large chunk": (b"186a0\r\n" + b"a" * 100_000 + b"\r\n0\r\n\r\n", b"a" * 100_000),
}  # fmt: skip


@pytest.mark.parametrize("name", CHUNKINGS)
def test_a_chunked_body(wire: Wire, name: str) -> None:
    data, body = CHUNKINGS[name]
    wire.send(CHUNKED + data + request())
    assert [wire.answer().body for _ in range(2)] == [body, b"hello"]


def test_trailers_are_no_headers(wire: Wire) -> None:
    head = request("/request", method="POST", headers=("Transfer-Encoding: chunked",))
    answer = wire.send(head + b"0\r\nX-Secret: a\r\n\r\n").answer()
    assert (answer.status, b"secret" in answer.body) == (200, False)


@pytest.mark.parametrize("name", ["many", "extensions", "trailers"])
def test_a_chunked_body_by_byte(server: Server, name: str) -> None:
    data, body = CHUNKINGS[name]
    with Wire(server.address) as wire:
        for at in range(len(CHUNKED + data)):
            wire.send((CHUNKED + data)[at : at + 1])
        assert wire.answer().body == body


def test_continue_is_sent_when_the_application_reads(wire: Wire) -> None:
    wire.send(request("/echo", method="POST", headers=EXPECTING))
    assert wire.answer().status == 100
    assert wire.send(b"abc").answer().body == b"abc"
    assert wire.send(request()).answer().body == b"hello"


def test_no_continue_where_the_body_is_there_already(wire: Wire) -> None:
    answer = wire.send(request("/echo", method="POST", headers=EXPECTING) + b"abc").answer()
    assert (answer.status, answer.body) == (200, b"abc")


def test_no_continue_in_http_1_0(wire: Wire) -> None:
    wire.send(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
    assert wire.answer().body == b"abc"


def test_no_continue_without_a_body(wire: Wire) -> None:
    assert wire.send(request(headers=("Expect: 100-continue",))).answer().body == b"hello"


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_an_answer_without_reading_ends_the_connection_of_a_client_that_waits(wire: Wire) -> None:
    answer = wire.send(request("/ignore", method="POST", headers=EXPECTING)).answer()
    assert (answer.status, answer.body) == (200, b"ignored")
    assert answer.header("connection") == "close"
    assert wire.is_closed()


@pytest.mark.parametrize("length", [1, 65_536, 262_144])
def test_a_short_unwanted_body_is_dropped_and_the_connection_kept(wire: Wire, length: int) -> None:
    data = request("/ignore", method="POST", body=b"a" * length)
    answer = wire.send(data).answer()
    assert (answer.body, answer.header("connection")) == (b"ignored", None)
    assert wire.send(request()).answer().body == b"hello"


def test_a_short_unwanted_chunked_body_is_dropped(wire: Wire) -> None:
    head = request("/ignore", method="POST", headers=("Transfer-Encoding: chunked",))
    wire.send(head + b"3\r\nabc\r\n" * 100 + b"0\r\nX-A: b\r\n\r\n" + request())
    assert [wire.answer().body for _ in range(2)] == [b"ignored", b"hello"]


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_a_long_unwanted_body_ends_the_connection(wire: Wire) -> None:
    head = request("/ignore", method="POST", headers=("Content-Length: 262145",))
    answer = wire.send(head).answer()
    assert (answer.body, answer.header("connection")) == (b"ignored", "close")
    assert wire.is_closed()


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_an_endless_unwanted_chunked_body_ends_the_connection(wire: Wire) -> None:
    head = request("/ignore", method="POST", headers=("Transfer-Encoding: chunked",))
    assert wire.send(head).answer().body == b"ignored"
    wire.send(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
    for _ in range(8):
        wire.send(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
    assert wire.is_closed()
