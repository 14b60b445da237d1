"""start_response(), write(), the iterable and its close(), and files (PEP 3333)."""

import json
import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.server import Server, serving
from tests.support.wire import Answer, Wire, request

from .conftest import APPS, QUIET, peak_memory

MEGABYTE = 1_000_000


def ask(server: Server, path: str, method: str = "GET") -> Answer:
    with Wire(server.address) as wire:
        return wire.send(request(path, method=method)).answer(method)


def test_written_and_yielded_blocks_are_one_body(wsgi: Server) -> None:
    assert ask(wsgi, "/write-and-yield").body == b"abc"


@pytest.mark.parametrize(
    ("path", "length"), [("/one-item", "8"), ("/one-item?tuple", "8"), ("/no-items", "0")]
)
def test_the_length_of_what_is_at_hand_is_told(wsgi: Server, path: str, length: str) -> None:
    answer = ask(wsgi, path)
    assert answer.header("content-length") == length
    assert answer.complete


def test_other_bodies_are_chunked(wsgi: Server) -> None:
    assert ask(wsgi, "/write-and-yield").header("transfer-encoding") == "chunked"


def test_exc_info_replaces_a_head_that_was_not_sent(wsgi: Server) -> None:
    answer = ask(wsgi, "/replaced")
    assert (answer.status, answer.reason, answer.body) == (503, "Sorry", b"sorry")
    assert (answer.header("x-first"), answer.header("x-second")) == (None, "yes")


def test_exc_info_is_raised_again_once_the_head_was_sent(wsgi: Server) -> None:
    answer = ask(wsgi, "/raised-again")
    assert (answer.status, answer.body, answer.complete) == (200, b"first", False)
    wsgi.wait_for_log(r"^raised again: True", stream="out")


def test_a_second_start_without_exc_info_is_refused(wsgi: Server) -> None:
    assert ask(wsgi, "/started-twice").body == b"refused"


CLOSING = {
    "fine": (200, b"abc", True),
    "broken": (200, b"a", False),
    "short": (200, b"a", True),
    "long": (200, b"abc", False),
    "unstarted": (500, b"Internal Server Error\n", True),
}


@pytest.mark.parametrize("case", CLOSING)
def test_close_is_called_exactly_once(wsgi: Server, case: str) -> None:
    answer = ask(wsgi, f"/closing?{case}")
    status, body, complete = CLOSING[case]
    if case == "short":
        # The block that is too long for the rest of the announced length is not sent at all.
        assert (answer.status, answer.body, answer.complete) == (status, body, False)
    else:
        assert (answer.status, answer.body, answer.complete) == (status, body, complete)
    wsgi.wait_for_log(rf"^closed {case}$", stream="out")
    assert ask(wsgi, "/hello").status == 200
    assert wsgi.access_log.count(f"closed {case}\n") == 1


def test_close_is_called_when_the_client_vanishes(wsgi: Server) -> None:
    with Wire(wsgi.address) as wire:
        wire.send(request("/closing?endless"))
        assert wire.socket.recv(1000)
    wsgi.wait_for_log(r"^closed endless$", stream="out")
    assert ask(wsgi, "/hello").status == 200
    assert wsgi.access_log.count("closed endless\n") == 1
    assert "endless" not in wsgi.log


def test_a_complete_answer_does_not_wait_for_close(wsgi: Server, fifo: Path) -> None:
    with Wire(wsgi.address) as wire:
        assert wire.send(request(f"/closing-in-order?{fifo}")).answer().body == b"ok"
        fifo.write_text("a word")
    wsgi.wait_for_log(r"^closing with a word", stream="out")


def test_complete_answers_do_not_wait_for_who_comes_after(
    wsgi: Server, fifo: Path, tmp_path: Path
) -> None:
    """They leave together with the next ones, but not if the next application does not come back."""
    next_fifo = make_fifo(tmp_path / "next")
    with ExitStack() as wires:
        first, *quick, stuck, last = (wires.enter_context(Wire(wsgi.address)) for _ in range(8))
        first.send(request(f"/closing-in-order?{fifo}")).answer()
        # The application does not return before all these are here, and then finds them at once.
        for wire in quick:
            wire.send(request("/hello"))
        stuck.send(request(f"/closing-in-order?{next_fifo}"))
        last.send(request("/hello"))
        fifo.write_text("go on")
        assert [wire.answer().body for wire in quick] == [b"hello"] * len(quick)
        assert stuck.answer().body == b"ok"
        next_fifo.write_text("go on")
        assert last.answer().body == b"hello"


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    return make_fifo(tmp_path / "fifo")


def make_fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


CONTENT = bytes(range(256)) * 160
FILES = {
    "": CONTENT,
    "offset=1000": CONTENT[1000:],
    "length=40960": CONTENT,
    "length=100": CONTENT[:100],
    "offset=1000&length=100": CONTENT[1000:1100],
    "kind=raw&offset=7": CONTENT[7:],
    "kind=memory": CONTENT,
    "kind=memory&offset=1000": CONTENT[1000:],
    "offset=40960": b"",
}


@pytest.mark.parametrize("query", FILES)
def test_a_file(wsgi: Server, query: str) -> None:
    closed = wsgi.access_log.count("closed a file")
    with Wire(wsgi.address) as wire:
        answer = wire.send(request(f"/file?{query}")).answer()
        assert (answer.status, answer.complete, answer.body) == (200, True, FILES[query])
        if "memory" not in query:
            assert answer.header("content-length") == str(len(FILES[query]))
        wsgi.wait_for_log(rf"(?s)(closed a file.*){{{closed + 1}}}", stream="out")
        head = wire.send(request(f"/file?{query}", method="HEAD")).answer("HEAD")
        assert head.status == 200
        assert wire.send(request("/hello")).answer().body == b"hello"


def test_a_file_shorter_than_announced_is_refused(wsgi: Server) -> None:
    assert ask(wsgi, "/file?length=99999").status == 500


def test_a_large_file_for_a_slow_client(wsgi: Server) -> None:
    """The thread is free while the kernel sends; progress is progress, whoever makes it."""
    with Wire(wsgi.address) as wire:
        wire.send(request("/file?kib=20000"))
        assert ask(wsgi, "/hello").body == b"hello"
        answer = wire.answer()
        assert (len(answer.body), answer.complete) == (20000 * 1024, True)


def test_a_yielded_block_is_on_its_way_while_the_application_waits(
    wsgi: Server, fifo: Path
) -> None:
    for _ in range(5):
        with Wire(wsgi.address) as wire:
            wire.send(request(f"/held?{fifo}"))
            received = b""
            while b"second\r\n" not in received:
                received += wire.socket.recv(4096)
            assert received.count(b"first") == 1
            fifo.write_text("go on")
            while not received.endswith(b"0\r\n\r\n"):
                received += wire.socket.recv(4096)
            assert b"third" in received


def test_blocks_that_a_socket_did_not_take_at_once_follow(wsgi: Server, fifo: Path) -> None:
    """The application waits and has more behind it than a socket holds: it all arrives before it goes on."""
    with Wire(wsgi.address) as wire:
        wire.send(request(f"/flood-then-held?{fifo}"))
        wsgi.wait_for_log(r"^flooded", stream="out")
        received = 0
        while received < 30 * MEGABYTE:
            data = wire.socket.recv(MEGABYTE)
            assert data
            received += len(data)
        fifo.write_text("go on")
        length_of_rest(wire)


def length_of_rest(wire: Wire) -> int:
    """How many bytes come up to the last chunk."""
    length, end = 0, b""
    while not end.endswith(b"0\r\n\r\n"):
        data = wire.socket.recv(MEGABYTE)
        assert data
        length, end = length + len(data), (end + data)[-5:]
    return length


def test_a_slow_client_does_not_hold_the_thread(wsgi: Server) -> None:
    produced = wsgi.access_log.count("produced all")
    before = peak_memory(wsgi)
    with Wire(wsgi.address) as slow:
        slow.send(request("/download?100"))
        wsgi.wait_for_log(rf"(?s)(produced all.*){{{produced + 1}}}", stream="out")
        assert ask(wsgi, "/hello").body == b"hello"
        assert peak_memory(wsgi) - before < 20 * MEGABYTE
        assert length_of_rest(slow) > 100 * MEGABYTE
    assert peak_memory(wsgi) - before < 20 * MEGABYTE


def test_the_application_is_called_in_the_main_thread(wsgi: Server) -> None:
    assert json.loads(ask(wsgi, "/thread").body) == [True, *wsgi.workers()]


@pytest.mark.parametrize(
    "case",
    [
        "status of bytes", "status without digits", "status of two digits", "status without a space",
        "informational status", "CRLF in the status", "status beyond Latin-1", "headers no list",
        "header no tuple", "header of bytes", "header of three", "value no str", "name no token",
        "colon in a name", "CRLF in a value", "LF in a value", "NUL in a value", "value beyond Latin-1",
        "lone surrogate", "length no number", "two lengths",
    ],
)  # fmt: skip
def test_a_breach_of_the_contract_is_named_and_changes_nothing(wsgi: Server, case: str) -> None:
    answer = ask(wsgi, f"/contract?{case.replace(' ', '+')}")
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body.startswith(b"ContractError: ")


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    """A server that gives its clients half a second to take anything."""
    with serving("wsgi_cases:app", *QUIET, "--write-timeout=500ms", cwd=APPS) as server:
        yield server


def test_a_client_that_takes_little_at_a_time_is_not_stalled(hasty: Server) -> None:
    """What `sendfile` sends is progress: a download may take longer than the write timeout."""
    pieces, size = 16, 20000 * 1024
    with Wire(hasty.address) as wire:
        wire.send(request("/file?kib=20000"))
        received = 0
        for _ in range(pieces):
            select.select([], [], [], 0.1)
            received += len(wire.socket.recv(512 * 1024, socket.MSG_WAITALL))
        while data := wire.socket.recv(MEGABYTE):
            received += len(data)
            if received > size:
                break
    assert received > size


def test_an_endless_answer_ends_with_the_patience_for_its_client(hasty: Server) -> None:
    with Wire(hasty.address) as wire:
        wire.send(request("/closing?endless"))
        hasty.wait_for_log(r"^closed endless$", stream="out")
    assert ask(hasty, "/hello").status == 200
