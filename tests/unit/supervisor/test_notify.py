"""What a service manager hears, over a socket like systemd's."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bicorn.supervisor.loop import Loop
from bicorn.supervisor.notify import Notifier, Watchdog


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        yield sock


def notifier(loop: Loop, manager: socket.socket, **variables: str) -> Notifier:
    return Notifier(loop, {"NOTIFY_SOCKET": manager.getsockname(), **variables})


def heard(manager: socket.socket) -> str:
    return manager.recv(4096).decode()


def test_each_message(loop: Loop, manager: socket.socket) -> None:
    told = notifier(loop, manager)
    assert told.is_wanted
    told.ready()
    assert heard(manager) == "READY=1"
    told.ready("3 workers")
    assert heard(manager) == "READY=1\nSTATUS=3 workers"
    told.stopping()
    assert heard(manager) == "STOPPING=1"
    told.status("two\nlines")
    assert heard(manager) == "STATUS=two lines"
    told.main_pid(77)
    assert heard(manager) == "MAINPID=77"
    told.watchdog()
    assert heard(manager) == "WATCHDOG=1"


def test_a_reload_says_when_it_began(loop: Loop, manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    notifier(loop, manager).reloading()
    reloading, moment = heard(manager).split("\n")
    assert reloading == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_an_abstract_address(loop: Loop) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")  # the kernel chooses an abstract one
        sock.settimeout(10)
        name = sock.getsockname()
        Notifier(loop, {"NOTIFY_SOCKET": "@" + name[1:].decode()}).ready()
        assert heard(sock) == "READY=1"


@pytest.mark.parametrize("address", ["", "@", "vsock:2:1234", "relative"])
def test_nobody_to_tell(loop: Loop, address: str) -> None:
    told = Notifier(loop, {"NOTIFY_SOCKET": address} if address else {})
    told.ready()
    assert not told.is_wanted


def test_a_service_manager_that_is_gone(loop: Loop, tmp_path: Path) -> None:
    told = Notifier(loop, {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    told.ready()
    told.stopping()


def test_what_there_was_no_room_for_is_said_later(loop: Loop, manager: socket.socket) -> None:
    told = notifier(loop, manager)
    path = manager.getsockname()
    waiting = 0
    try:
        while True:
            # A socket for each, since a sender's own room is limited too.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(b"of another service", path)
            waiting += 1
    except BlockingIOError:
        pass
    told.ready()
    told.status("late")
    for _ in range(waiting):
        assert heard(manager) == "of another service"
    loop.run_once()
    assert heard(manager) == "READY=1\nSTATUS=late"


def test_the_variables_are_taken_and_given_to_a_successor(
    loop: Loop, manager: socket.socket
) -> None:
    environ = {
        "HOME": "/root",
        "NOTIFY_SOCKET": manager.getsockname(),
        "WATCHDOG_USEC": "10000000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    former = dict(environ)
    told = Notifier(loop, environ)
    assert environ == {"HOME": "/root"}
    assert {**environ, **told.environment(77)} == {**former, "WATCHDOG_PID": "77"}


def test_a_child_does_not_speak_for_the_service(loop: Loop, manager: socket.socket) -> None:
    told = notifier(loop, manager)
    told.forget()
    told.ready()
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1)


@pytest.mark.parametrize(
    ("variables", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 40}, None),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(
    loop: Loop, variables: dict[str, str], interval: float | None
) -> None:
    assert Notifier(loop, variables).watchdog_interval == interval


def test_the_watchdog_hears_only_of_a_server_that_is_well(
    loop: Loop, manager: socket.socket
) -> None:
    told = notifier(loop, manager, WATCHDOG_USEC="2000")
    health = iter((True, False, True))
    watchdog = Watchdog(loop, told, lambda: next(health))
    watchdog.start()
    assert heard(manager) == "WATCHDOG=1"
    loop.run_once()
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1)
    loop.run_once()
    assert heard(manager) == "WATCHDOG=1"
    watchdog.stop()


def test_without_a_watchdog_nothing_is_asked(loop: Loop, manager: socket.socket) -> None:
    def never() -> bool:
        raise AssertionError("was asked")

    watchdog = Watchdog(loop, notifier(loop, manager), never)
    watchdog.start()
    watchdog.stop()
