"""receive() and send(): streaming, backpressure, disconnects, and awaiting them in every way (asgiref, HTTP 2.5)."""

import json
import socket
import uuid

import pytest

from tests.support.server import Server
from tests.support.wire import Wire, request

from .conftest import peak_memory

CHUNKED = ("Transfer-Encoding: chunked",)
RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
MEGABYTE = 1_000_000
KERNEL_BUFFERS = 16 * MEGABYTE


def test_a_slow_reader_suspends_the_sender_and_memory_stays_flat(asgi: Server) -> None:
    length = 200 * MEGABYTE
    before = peak_memory(asgi)
    with Wire(asgi.address) as wire:
        wire.send(request("/download?200"))
        suspended = asgi.wait_for_log(r"^suspended at (\d+)", stream="out")
        assert int(suspended[1]) < KERNEL_BUFFERS
        slowly = wire.socket.recv(1000)
        received = len(slowly)
        buffer = memoryview(bytearray(MEGABYTE))
        while received < length:
            count = wire.socket.recv_into(buffer)
            assert count
            received += count
    assert peak_memory(asgi) - before < 20 * MEGABYTE


def test_an_application_that_does_not_read_suspends_the_client(asgi: Server) -> None:
    length = 100 * MEGABYTE
    before = peak_memory(asgi)
    block = b"x" * MEGABYTE
    with Wire(asgi.address) as wire, Wire(asgi.address) as other:
        head = request("/held-upload", method="POST", headers=(f"Content-Length: {length}",))
        wire.send(head)
        wire.socket.settimeout(0.5)
        sent = send_until_full(wire, block)
        assert sent < KERNEL_BUFFERS
        wire.socket.settimeout(30)
        assert other.send(request("/release")).answer().status == 200
        while sent < length:
            sent += wire.socket.send(block[: length - sent])
        facts = json.loads(wire.answer().body)
    assert facts["total"] == length
    assert facts["largest"] <= 256 * 1024
    assert peak_memory(asgi) - before < 20 * MEGABYTE


def send_until_full(wire: Wire, block: bytes) -> int:
    sent = 0
    try:
        while sent < 10 * KERNEL_BUFFERS:
            sent += wire.socket.send(block)
    except TimeoutError:
        pass
    return sent


def test_an_upload_comes_in_pieces(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        wire.send(request("/upload", method="POST", body=b"x" * 5 * MEGABYTE))
        facts = json.loads(wire.answer().body)
    assert facts["total"] == 5 * MEGABYTE
    assert facts["largest"] <= 256 * 1024


def test_both_directions_stream_at_the_same_time(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        wire.send(request("/both-ways", method="POST", headers=CHUNKED))
        received = b""
        for letter in (b"a", b"b", b"c"):
            wire.send(b"1\r\n" + letter + b"\r\n")
            while letter.upper() + b"\r\n" not in received:
                received += wire.socket.recv(4096)
        wire.send(b"0\r\n\r\n")
        while not received.endswith(b"0\r\n\r\n"):
            received += wire.socket.recv(4096)
    body = received.partition(b"\r\n\r\n")[2]
    assert body == b"1\r\nA\r\n1\r\nB\r\n1\r\nC\r\n0\r\n\r\n"


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
def test_a_disconnect_is_told_at_once_and_then_send_raises(asgi: Server, reset: bool) -> None:
    seen = asgi.access_log.count("got")
    with Wire(asgi.address) as wire:
        wire.send(request("/until-disconnect", method="POST", body=b"x"))
        asgi.wait_for_log(rf"(?s)(waiting.*){{{seen + 1}}}", stream="out")
        if reset:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    log = asgi.wait_for_log(rf"(?s)((got [^\n]*\n[^\n]*\n[^\n]*\n).*){{{seen + 1}}}", stream="out")
    assert log[2] == (
        "got http.request http.disconnect http.disconnect\n"
        "sending raised ClientDisconnected\n"
        "sending raised ClientDisconnected\n"
    )


def test_a_disconnect_in_the_middle_of_a_body(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        wire.send(
            request("/until-disconnect", method="POST", headers=("Content-Length: 9",)) + b"abc"
        )
    asgi.wait_for_log(r"^got http.request http.disconnect http.disconnect", stream="out")


def test_send_raises_when_the_client_is_gone(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        wire.send(request("/until-send-fails"))
        assert wire.socket.recv(100)
    asgi.wait_for_log(r"^streaming raised ClientDisconnected", stream="out")


def test_a_receive_that_waits_ends_with_the_response(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        assert wire.send(request("/wait-beside")).answer().body == b"done"
        asgi.wait_for_log(r"^beside: http.disconnect", stream="out")
        asgi.wait_for_log(r"^afterwards: http.disconnect", stream="out")
        assert wire.send(request("/gathered")).answer().body == b"01234"


def test_receives_that_are_cancelled_lose_nothing(asgi: Server) -> None:
    token = uuid.uuid4().hex.encode()
    with Wire(asgi.address) as wire:
        wire.send(request("/cancelled-receives", method="POST", headers=CHUNKED))
        wire.send(b"20\r\n" + token + b"\r\n")
        asgi.wait_for_log(r"^cancelled twenty", stream="out")
        wire.send(b"20\r\n" + token + b"\r\n" + b"0\r\n\r\n")
        assert wire.answer().body == token * 2


def test_a_whole_body_survives_cancelled_receives(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        wire.send(request("/cancelled-receives", method="POST", body=b"whole"))
        assert wire.answer().body == b"whole"


def test_waits_that_are_cancelled_leave_nothing_behind(asgi: Server) -> None:
    def ask(times: int) -> None:
        for _ in range(times):
            assert wire.send(request("/many-waits?200")).answer().body == b"still there"

    with Wire(asgi.address) as wire:
        ask(50)
        before = peak_memory(asgi)
        ask(250)
    assert peak_memory(asgi) - before < 2 * MEGABYTE


def test_receive_and_send_are_coroutines_to_whoever_wraps_them(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        wire.send(request("/wrapped", method="POST", body=b"!"))
        assert wire.answer().body == b"ABCDE!"


def test_two_receives_at_once(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        wire.send(request("/two-receives", method="POST", headers=CHUNKED))
        wire.send(b"1\r\na\r\n")
        asgi.wait_for_log(r"^one of two has 1", stream="out")
        wire.send(b"1\r\nb\r\n")
        assert wire.send(b"0\r\n\r\n").answer().body == b"ab"


def test_each_request_is_a_task_with_its_own_context(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        for _ in range(2):
            facts = json.loads(wire.send(request("/contexts")).answer().body)
            assert facts == ["none", "set by a request", True]


@pytest.mark.parametrize("path", ["/whole?0", "/whole?13", "/whole?10000", "/after-a-while"])
def test_a_head_and_a_complete_body_leave_at_once(asgi: Server, path: str) -> None:
    with Wire(asgi.address) as wire:
        for _ in range(5):
            data = wire.send(request(path)).socket.recv(100_000)
            head, _, body = data.partition(b"\r\n\r\n")
            assert f"content-length: {len(body)}".encode() in head.lower()


def test_chunks_without_a_pause_leave_together(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        for _ in range(5):
            data = wire.send(request("/gathered")).socket.recv(4096)
            assert data.endswith(b"\r\n1\r\n3\r\n1\r\n4\r\n0\r\n\r\n")


def test_chunks_leave_when_the_application_waits(asgi: Server) -> None:
    with Wire(asgi.address) as wire, Wire(asgi.address) as other:
        data = wire.send(request("/gathered-then-held")).socket.recv(4096)
        assert data.endswith(b"\r\n1\r\n3\r\n1\r\n4\r\n")
        assert other.send(request("/release")).answer().status == 200
        assert wire.socket.recv(4096) == b"0\r\n\r\n"


def test_other_types_of_bytes_are_taken(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        answer = wire.send(request("/other-bytes")).answer()
        assert (answer.body, answer.header("x-a"), answer.header("x-c")) == (b"onetwo", "b", "d")


CONTRACT = {
    "no type": "no 'type'",
    "type no str": "no str",
    "unknown type": "'http.response.push'|\"http.response.push\"",
    "websocket type": "websocket.accept",
    "no dict": "not a dict",
    "None": "not a dict",
    "body first": "before http.response.start",
    "no status": "no 'status'",
    "status no int": "not an int",
    "informational status": "103",
    "status too large": "1000",
    "negative status": "not an int",
    "headers no iterable": "not iterable",
    "header no pair": "pair of bytes",
    "header of str": "pair of bytes",
    "name no token": "not a token",
    "empty name": "not a token",
    "colon in a name": "not a token",
    "CRLF in a name": "not a token",
    "CRLF in a value": "control character",
    "LF in a value": "control character",
    "NUL in a value": "control character",
    "length no number": "Content-Length",
    "two lengths": "Content-Length",
    "start twice": "already",
    "body of str": "not bytes",
    "body None": "not bytes",
}


@pytest.mark.parametrize("case", CONTRACT)
def test_a_breach_of_the_contract_is_named_and_changes_nothing(asgi: Server, case: str) -> None:
    with Wire(asgi.address) as wire:
        answer = wire.send(request(f"/contract?{case.replace(' ', '+')}")).answer()
        assert (answer.status, answer.complete) == (200, True)
        assert any(text in answer.body.decode() for text in CONTRACT[case].split("|"))
        assert wire.send(request("/gathered")).answer().body == b"01234"


def test_the_loop_is_the_one_that_was_asked_for(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        module, _ = json.loads(wire.send(request("/loop")).answer().body)
    assert module.split(".")[0] in ("asyncio", "uvloop")
