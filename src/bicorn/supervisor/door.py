"""The parent's door: an abstract Unix socket where its operator asks for a status or a report.

    client:  word argument...\\n
    parent:  ok\\n            and then the answer, until the end
             error: why\\n

Owns who may come in, how long a client may take and how much he may say. Nothing that he does stops the loop, fills
the memory or raises. Abstract: there is no file to remove or to find stale; the name belongs to the network
namespace in which the parent runs, and is gone with it. What the commands do is not known here.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

from bicorn.reserved import door_name
from bicorn.supervisor.loop import WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bicorn.supervisor.loop import Loop, Timer

    Reply = Callable[[str], None]
    Command = Callable[[Reply, list[str]], None]

MOST_CLIENTS = 8
LONGEST_REQUEST = 4096
REQUEST_TIMEOUT = 5.0
"""Seconds for a client to ask."""
ANSWER_TIMEOUT = 60.0
"""Seconds for a command to have its answer."""
WRITE_TIMEOUT = 10.0
"""Seconds for a client to take any of the answer."""
PAUSE = 1.0
"""Seconds without accepting when there is no descriptor left."""
SWEEP_INTERVAL = 0.5
"""Seconds between two looks at who has taken too long: one timer for all, however often somebody comes."""

_CREDENTIALS = struct.Struct("3i")  # unix(7), struct ucred: process, user, group


class Refusal(Exception):
    """Raised by a command that cannot do what it was asked to; its text goes to the client."""


def open_door(
    loop: Loop, pid: int, commands: Mapping[str, Command], complain: Callable[[str], None]
) -> Door | None:
    """The door, or none where there are no abstract sockets, or where this name is taken: then it complains."""
    if sys.platform != "linux":
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(door_name(pid))
        sock.listen(MOST_CLIENTS)
    except OSError as error:
        sock.close()
        complain(f"`bicorn status` and `bicorn dump` will not find this server: {error.strerror}")
        return None
    return Door(loop, sock, commands)


class Door:
    """Listens, and lets in who may come. A command is called with where to put its answer, once, now or later, and
    with the words after its own."""

    def __init__(self, loop: Loop, sock: socket.socket, commands: Mapping[str, Command]) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._socket = sock
        self._commands = commands
        self._visits: set[_Visit] = set()
        self._pause: Timer | None = None
        self._sweep: Timer | None = None
        loop.watch(sock, self._accept)

    def close(self) -> None:
        """Shows everybody out. Idempotent."""
        for timer in (self._pause, self._sweep):
            if timer is not None:
                timer.cancel()
        self._loop.unwatch(self._socket)
        self._socket.close()
        for visit in list(self._visits):
            visit.end()

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's sockets, and leaves the loop alone, which is shared with it."""
        self._socket.close()
        for visit in self._visits:
            visit.abandon()

    def _accept(self) -> None:
        try:
            sock, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # No descriptor is left: without the pause the loop would find the socket ready again and again.
            self._loop.unwatch(self._socket)
            self._pause = self._loop.call_later(PAUSE, self._resume)
            return
        sock.setblocking(False)
        if not _may_enter(sock):
            _turn_away(sock, "only the user that the server runs as, and root, may ask")
        elif len(self._visits) >= MOST_CLIENTS:
            _turn_away(sock, "too many are asking already: try again")
        else:
            self._visits.add(_Visit(self._loop, sock, self._commands, self._visits.discard))
            if self._sweep is None:
                self._sweep = self._loop.call_later(SWEEP_INTERVAL, self._end_what_is_overdue)

    def _end_what_is_overdue(self) -> None:
        for visit in list(self._visits):
            visit.check(self._loop.now())
        self._sweep = None
        if self._visits:
            self._sweep = self._loop.call_later(SWEEP_INTERVAL, self._end_what_is_overdue)

    def _resume(self) -> None:
        self._pause = None
        self._loop.watch(self._socket, self._accept)


class _Visit:
    """One client: a question, an answer, and the end; each of them has its time."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        commands: Mapping[str, Command],
        on_end: Callable[[_Visit], None],
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._commands = commands
        self._on_end = on_end
        self._request = b""
        self._answer = memoryview(b"")
        self._limit(REQUEST_TIMEOUT, self.end)
        loop.watch(sock, self._read)

    def check(self, now: float) -> None:
        """Has it end if its time is over."""
        if now >= self._deadline:
            self._on_deadline()

    def end(self) -> None:
        """Closes. Idempotent."""
        if self._socket.fileno() >= 0:
            self._loop.unwatch(self._socket)
            self._socket.close()
            self._on_end(self)

    def abandon(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(LONGEST_REQUEST + 1 - len(self._request))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._request += data
        line, newline, _ = self._request.partition(b"\n")
        if newline:
            # Whatever else comes is not read: one question a visit.
            self._loop.unwatch(self._socket)
            self._limit(ANSWER_TIMEOUT, self._give_up)
            self._ask(line.decode("utf-8", "replace").split())
        elif len(self._request) > LONGEST_REQUEST:
            self._send("error: the question is too long\n")
        elif not data:
            self.end()

    def _ask(self, words: list[str]) -> None:
        command = self._commands.get(words[0]) if words else None
        if command is None:
            known = ", ".join(sorted(self._commands))
            self._send(f"error: no such command: there are {known}\n")
            return
        try:
            command(self._reply, words[1:])
        except Refusal as refusal:
            self._send(f"error: {refusal}\n")
        except Exception as error:  # noqa: BLE001 - the parent outlives a mistake in what it tells
            self._send(f"error: {type(error).__name__}: {error}\n")

    def _reply(self, text: str) -> None:
        """Takes the answer; too late or a second time it is dropped."""
        self._send(f"ok\n{text}")

    def _give_up(self) -> None:
        self._send("error: the server has found no answer in time\n")

    def _send(self, text: str) -> None:
        if self._answer or self._socket.fileno() < 0:
            return
        self._answer = memoryview(text.encode("utf-8", "backslashreplace"))
        self._limit(WRITE_TIMEOUT, self.end)
        self._loop.watch(self._socket, self._write, WRITE)

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._answer)
        except BlockingIOError:
            return
        except OSError:
            self.end()
            return
        self._answer = self._answer[sent:]
        if self._answer:
            self._limit(WRITE_TIMEOUT, self.end)
        else:
            self.end()

    def _limit(self, seconds: float, callback: Callable[[], None]) -> None:
        self._deadline = self._loop.now() + seconds
        self._on_deadline = callback


def _may_enter(sock: socket.socket) -> bool:
    """Whether the peer is this process's user or root; the kernel says who he was when he connected."""
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return False
    _, user, _ = _CREDENTIALS.unpack(data)
    return user in (0, os.geteuid())


def _turn_away(sock: socket.socket, why: str) -> None:
    with sock:
        try:
            sock.send(f"error: {why}\n".encode())
        except OSError:
            return
