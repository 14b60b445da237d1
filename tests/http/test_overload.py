"""Overload: what the application has in hand at most, who waits for it and in which order, and who is turned away."""

import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.http.conftest import APPS
from tests.process.conftest import Fifo, refuses
from tests.support.server import Server, serving
from tests.support.wire import Answer, Wire, request

Overloaded = Callable[..., Server]


@pytest.fixture
def fifo(tmp_path: Path) -> Fifo:
    return Fifo(tmp_path / "fifo")


@pytest.fixture
def overloaded(fifo: Fifo) -> Iterator[Overloaded]:
    """A server with one place, which a request holds until the pipe is opened."""
    with ExitStack() as stack:

        def start(*options: str, places: int = 1) -> Server:
            environment = {"REQUEST_FIFO": fifo.path}
            arguments = ("held_asgi:app", f"--max-concurrency={places}", *options)
            server = stack.enter_context(serving(*arguments, cwd=APPS, environment=environment))
            holder = stack.enter_context(Wire(server.address))
            holder.send(request("/held"))
            server.wait_for_log("app waits")
            return server

        yield start


@pytest.fixture
def wires() -> Iterator[Callable[[Server], Wire]]:
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(Wire(server.address))


def settle(server: Server) -> None:
    """Returns when the server has taken in whatever was sent before: it refuses this in a later step."""
    with Wire(server.address) as wire:
        assert wire.send(b"nonsense\r\n\r\n").answer().status == 400


def called_for(server: Server, *paths: str) -> bool:
    """Whether the application was called for these, in this order, and for no others."""
    server.wait_for_log(f"^app called for {paths[-1]}$")
    assert re.findall(r"^app called for (\S+)$", server.log, re.MULTILINE) == list(paths)
    return True


def is_turned_away(answer: Answer) -> bool:
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.body == b"too many requests at once\n"
    return True


def test_requests_wait_in_order_of_arrival(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo
) -> None:
    server = overloaded()
    waiting = []
    for number in range(5):
        waiting.append(wires(server).send(request(f"/{number}")))
        settle(server)
    assert called_for(server, "/held")
    fifo.release()
    assert [wire.answer().body for wire in waiting] == [f"/{n} 0".encode() for n in range(5)]
    assert called_for(server, "/held", "/0", "/1", "/2", "/3", "/4")
    # Nobody has been left a place that is not there, nor without one that is.
    assert wires(server).send(request("/after")).answer().status == 200


def test_who_comes_to_a_full_queue_is_turned_away_and_may_come_again(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo
) -> None:
    server = overloaded("--max-queue=1")
    waits = wires(server).send(request("/waits"))
    settle(server)
    wire = wires(server)
    for _ in range(3):
        answer = wire.send(request("/away")).answer()
        assert is_turned_away(answer)
        assert answer.header("connection") is None
    fifo.release()
    assert waits.answer().status == 200
    assert wire.send(request("/again")).answer().body == b"/again 0"
    assert called_for(server, "/held", "/waits", "/again")
    server.wait_for_log(r'"GET /away HTTP/1\.1" 503 \d+ ', stream="out")


def test_a_request_with_a_body_is_turned_away(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo
) -> None:
    server = overloaded("--max-queue=0")
    wire = wires(server)
    for size in (1000, 100_000):
        wire.send(request("/away", method="POST", body=bytes(size)))
        assert is_turned_away(wire.answer())
    wire.send(request("/away", method="HEAD"))
    answer = wire.answer("HEAD")
    assert (answer.status, answer.header("content-length")) == (503, "26")
    # One that waits to be told to go on is told not to, and more than is worth reading is not read.
    for size, field in ((10, ("Expect: 100-continue",)), (1 << 30, ())):
        closing = wires(server)
        head = request("/away", method="POST", headers=(*field, f"Content-Length: {size}"))
        answer = closing.send(head).answer()
        assert is_turned_away(answer)
        assert answer.header("connection") == "close"
        assert closing.is_closed()
    fifo.release()
    while (answer := wire.send(request("/again")).answer()).status == 503:
        pass
    assert answer.body == b"/again 0"
    assert called_for(server, "/held", "/again")


def test_who_waits_for_too_long_is_turned_away(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo
) -> None:
    server = overloaded("--queue-timeout=300ms")
    wire = wires(server).send(request("/away"))
    assert is_turned_away(wire.answer())
    fifo.release()
    assert wire.send(request("/again")).answer().body == b"/again 0"
    assert called_for(server, "/held", "/again")


@pytest.mark.parametrize("is_reset", [False, True])
def test_who_leaves_is_never_given_to_the_application(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo, is_reset: bool
) -> None:
    server = overloaded("--max-queue=2")
    leaver = wires(server).send(request("/left"))
    stays = wires(server).send(request("/stays"))
    settle(server)
    if is_reset:
        leaver.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0] + [0] * 4))
    leaver.close()
    settle(server)
    # His place in the queue is free again.
    also = wires(server).send(request("/also"))
    settle(server)
    assert is_turned_away(wires(server).send(request("/away")).answer())
    fifo.release()
    assert stays.answer().status == also.answer().status == 200
    assert called_for(server, "/held", "/stays", "/also")


def test_who_waits_is_not_read_before_its_turn(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo
) -> None:
    server = overloaded()
    body = memoryview(bytes(32 << 20))
    wire = wires(server)
    wire.send(request("/body", method="POST", headers=(f"Content-Length: {len(body)}",)))
    wire.socket.setblocking(False)
    taken = 0
    while True:
        try:
            taken += wire.socket.send(body[taken:])
        except BlockingIOError:
            settle(server)
            try:
                taken += wire.socket.send(body[taken : taken + 1])
            except BlockingIOError:
                break
    assert taken < len(body)
    wire.socket.settimeout(30)
    fifo.release()
    assert wire.send(bytes(body[taken:])).answer().body == f"/body {len(body)}".encode()


def test_a_place_is_free_again_however_its_request_ended(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo
) -> None:
    server = overloaded("--max-queue=0")
    fifo.release()
    wire = wires(server)
    while wire.send(request("/first")).answer().status == 503:
        pass
    for _ in range(3):
        assert wire.send(request("/raise")).answer().status == 500
    assert wire.send(request("/last")).answer().status == 200


def test_a_client_that_left_holds_its_place_until_the_application_returns(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo
) -> None:
    """Who asks and leaves, again and again, must not have the application do more at once than it can."""
    server = overloaded("--max-queue=0", places=2)
    with Wire(server.address) as leaver:
        leaver.send(request("/held"))
        server.wait_for_log(r"app waits\n(?:.*\n)*app waits")
    settle(server)
    assert is_turned_away(wires(server).send(request("/away")).answer())
    fifo.release()


def test_who_waits_is_answered_while_the_server_ends(
    overloaded: Overloaded, wires: Callable[[Server], Wire], fifo: Fifo
) -> None:
    server = overloaded()
    wire = wires(server).send(request("/waits"))
    settle(server)
    server.signal(signal.SIGTERM)
    while not refuses(server.address[1]):
        pass
    fifo.release()
    answer = wire.answer()
    assert (answer.status, answer.header("connection")) == (200, "close")


def test_a_wsgi_application_has_one_request_in_hand_anyway(
    wires: Callable[[Server], Wire],
) -> None:
    options = ("--max-concurrency=1", "--max-queue=0")
    with serving("plain_wsgi:app", *options, cwd=APPS) as server:
        both = [wires(server).send(request() * 20) for _ in range(2)]
        for _ in range(20):
            assert [wire.answer().status for wire in both] == [200, 200]
