"""The parent's door lets in who may come, and nobody who comes does any harm. Real sockets, one loop."""

import os
import resource
import socket
from collections.abc import Callable, Iterator

import pytest

from bicorn.reserved import door_name
from bicorn.supervisor import door as module
from bicorn.supervisor.door import LONGEST_REQUEST, MOST_CLIENTS, Door, Refusal, open_door
from bicorn.supervisor.loop import Loop
from tests.support.hanging import until

Reply = Callable[[str], None]

LONG = "x" * 3_000_000


class Commands:
    """What is asked for, and the replies that are still to be given."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.later: list[Reply] = []

    def echo(self, reply: Reply, words: list[str]) -> None:
        self.asked.append(words)
        reply(" ".join(words))

    def long(self, reply: Reply, words: list[str]) -> None:
        reply(LONG)

    def wait(self, reply: Reply, words: list[str]) -> None:
        self.later.append(reply)

    def refuse(self, reply: Reply, words: list[str]) -> None:
        raise Refusal("not now")

    def fail(self, reply: Reply, words: list[str]) -> None:
        raise ValueError("a mistake")

    def table(self) -> dict[str, Callable[[Reply, list[str]], None]]:
        names = ("echo", "long", "wait", "refuse", "fail")
        return {name: getattr(self, name) for name in names}


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def door(loop: Loop, commands: Commands) -> Iterator[Door]:
    door = open_door(loop, os.getpid(), commands.table(), pytest.fail)
    assert door is not None
    yield door
    door.close()
    door.close()


@pytest.fixture
def visit(door: Door) -> Iterator[Callable[[], socket.socket]]:
    visitors: list[socket.socket] = []

    def enter() -> socket.socket:
        visitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        visitor.connect(door_name(os.getpid()))
        visitor.setblocking(False)
        visitors.append(visitor)
        return visitor

    yield enter
    for visitor in visitors:
        visitor.close()


Visit = Callable[[], socket.socket]


def answer(loop: Loop, visitor: socket.socket) -> str:
    """All that comes until the end."""
    parts: list[bytes] = []

    def is_over() -> bool:
        try:
            while data := visitor.recv(1 << 20):
                parts.append(data)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        return True

    until(loop, is_over)
    return b"".join(parts).decode()


def test_a_question_and_its_answer(loop: Loop, visit: Visit, commands: Commands) -> None:
    visitor = visit()
    visitor.send(b"echo one  two\n")
    assert answer(loop, visitor) == "ok\none two"
    assert commands.asked == [["one", "two"]]


def test_a_question_in_pieces(loop: Loop, visit: Visit, commands: Commands) -> None:
    visitor = visit()
    for byte in b"echo \xff a\n":
        visitor.send(bytes([byte]))
        loop.run_once()
    assert answer(loop, visitor) == "ok\n\N{REPLACEMENT CHARACTER} a"


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        (b"refuse\n", "error: not now\n"),
        (b"fail\n", "error: ValueError: a mistake\n"),
        (b"\n", "error: no such command: there are echo, fail, long, refuse, wait\n"),
        (b"nothing\n", "error: no such command: there are echo, fail, long, refuse, wait\n"),
        (b"x" * (LONGEST_REQUEST + 1), "error: the question is too long\n"),
        (b"x" * 100_000, "error: the question is too long\n"),
        (b"refuse\necho two\n", "error: not now\n"),
    ],
)
def test_questions_that_get_no_answer(
    loop: Loop, visit: Visit, question: bytes, reply: str
) -> None:
    visitor = visit()
    visitor.send(question)
    assert answer(loop, visitor) == reply


def test_the_longest_question(loop: Loop, visit: Visit, commands: Commands) -> None:
    visitor = visit()
    word = "x" * (LONGEST_REQUEST - len("echo "))
    visitor.send(f"echo {word}\n".encode())
    assert answer(loop, visitor) == f"ok\n{word}"


def test_a_long_answer(loop: Loop, visit: Visit) -> None:
    visitor = visit()
    visitor.send(b"long\n")
    assert answer(loop, visitor) == f"ok\n{LONG}"


def test_an_answer_that_comes_later_and_twice(loop: Loop, visit: Visit, commands: Commands) -> None:
    visitor = visit()
    visitor.send(b"wait\n")
    until(loop, lambda: bool(commands.later))
    commands.later[0]("first")
    commands.later[0]("second")
    assert answer(loop, visitor) == "ok\nfirst"
    commands.later[0]("third")


@pytest.mark.parametrize("question", [b"", b"ech", b"wait\n", b"long\n"])
def test_one_who_leaves(loop: Loop, visit: Visit, commands: Commands, question: bytes) -> None:
    visitor = visit()
    visitor.send(question)
    if question == b"wait\n":
        until(loop, lambda: bool(commands.later))
    elif question:
        loop.run_once()
    visitor.close()
    for reply in commands.later:
        reply("too late")
    other = visit()
    other.send(b"echo still here\n")
    assert answer(loop, other) == "ok\nstill here"


@pytest.mark.parametrize(
    ("limit", "question", "reply"),
    [
        ("REQUEST_TIMEOUT", b"ech", ""),
        ("ANSWER_TIMEOUT", b"wait\n", "error: the server has found no answer in time\n"),
    ],
)
def test_one_who_takes_too_long(
    loop: Loop,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    question: bytes,
    reply: str,
) -> None:
    monkeypatch.setattr(module, limit, 0.01)
    monkeypatch.setattr(module, "SWEEP_INTERVAL", 0.01)
    visitor = visit()
    visitor.send(question)
    assert answer(loop, visitor) == reply


def test_one_who_does_not_read(loop: Loop, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_TIMEOUT", 0.05)
    monkeypatch.setattr(module, "SWEEP_INTERVAL", 0.01)
    idle = visit()
    idle.send(b"long\n")
    until(loop, lambda: is_given_up(idle))
    assert len(answer(loop, idle)) < len(LONG)


def is_given_up(visitor: socket.socket) -> bool:
    try:
        visitor.send(b".")
    except BrokenPipeError:
        return True
    return False


def test_more_than_may_come_at_once(loop: Loop, visit: Visit, commands: Commands) -> None:
    waiting = []
    for number in range(MOST_CLIENTS):
        visitor = visit()
        visitor.send(b"wait\n")
        until(loop, lambda wanted=number + 1: len(commands.later) == wanted)  # type: ignore[misc]
        waiting.append(visitor)
    assert answer(loop, visit()) == "error: too many are asking already: try again\n"
    commands.later[0]("go")
    assert answer(loop, waiting[0]) == "ok\ngo"
    visitor = visit()
    visitor.send(b"echo\n")
    assert answer(loop, visitor) == "ok\n"


def test_another_user_is_turned_away(
    loop: Loop, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may ask everybody")
    # The peer is this very process, so it is the door that has to be another's.
    monkeypatch.setattr(os, "geteuid", lambda: 1 << 20)
    visitor = visit()
    assert answer(loop, visitor).startswith("error: only the user that the server runs as")


def test_another_user_of_the_system_is_turned_away(loop: Loop, door: Door) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
                visitor.connect(door_name(os.getppid()))
                os.write(writer, visitor.recv(4096))
        finally:
            os._exit(0)
    os.close(writer)
    os.set_blocking(reader, False)
    told: list[bytes] = []
    loop.watch(reader, lambda: told.append(os.read(reader, 4096)))
    until(loop, lambda: bool(told))
    loop.unwatch(reader)
    os.close(reader)
    os.waitpid(child, 0)
    assert told[0].startswith(b"error: only the user that the server runs as")


def test_a_name_that_is_taken(loop: Loop, door: Door) -> None:
    complaints: list[str] = []
    assert open_door(loop, os.getpid(), {}, complaints.append) is None
    assert "Address already in use" in complaints[0]


def test_without_descriptors_it_pauses_and_goes_on(
    loop: Loop, visit: Visit, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    visitor = visit()
    visitor.send(b"echo late\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Lower than what is open already: no further one is to be had.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        loop.run_once()
        loop.run_once()
        assert commands.asked == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert answer(loop, visitor) == "ok\nlate"


def test_a_child_lets_go_and_the_parents_door_stays_open(
    loop: Loop, door: Door, visit: Visit
) -> None:
    visitor = visit()
    visitor.send(b"ech")
    loop.run_once()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            door.abandon()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    visitor.send(b"o here\n")
    assert answer(loop, visitor) == "ok\nhere"
