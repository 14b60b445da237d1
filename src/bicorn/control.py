"""The verbs that ask a running server: ``bicorn status`` and ``bicorn dump``.

Owns finding the server, asking at its door (`bicorn.supervisor.door` is the other side), and showing what it says.
Runs in a process of its own, and knows nothing of how the server comes by its answer.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct

from bicorn.errors import ConfigError, ControlError
from bicorn.reserved import DOOR_PREFIX, door_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

TIMEOUT = 90.0
"""Seconds without a sign of the server; it gives up itself before."""

_CREDENTIALS = struct.Struct("3i")  # unix(7), struct ucred: process, user, group
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_LONGEST_COMMAND = 100


def main(words: list[str]) -> str:
    """What the verb prints. Raises `bicorn.errors.ControlError` and `ConfigError`."""
    verb, *rest = words
    pid, is_json = _arguments(verb, rest)
    answer = ask(pid or _the_only_server(), verb)
    if verb != "status" or is_json:
        return answer
    import json

    return status_text(json.loads(answer))


def ask(pid: int, question: str) -> str:
    """The answer of the server whose parent is ``pid``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT)
        try:
            sock.connect(door_name(pid))
        except OSError:
            raise ControlError(
                f"no server listens to process {pid}: it must be the parent's number, in this network namespace"
            ) from None
        _check_owner(sock, pid)
        status, _, text = _conversation(sock, question, pid).partition("\n")
    if status == "ok":
        return text
    raise ControlError(f"process {pid}: {status.removeprefix('error: ') or 'no answer'}")


def status_text(status: dict[str, Any]) -> str:
    """The status for people: the server, and a line for each worker."""
    head = (
        f"bicorn {status['version']}, process {status['pid']}: {status['state']}, "
        f"generation {status['generation']}, up {_span(status['uptime'])}\n"
    )
    if status["last_reload"]:
        head += f"last reload: {status['last_reload']}\n"
    rows = [list(_COLUMNS)]
    rows += [[show(worker) for show in _COLUMNS.values()] for worker in status["workers"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True))
        for row in rows
    )
    return head + "".join(f"{line}\n" for line in lines)


def _arguments(verb: str, words: list[str]) -> tuple[int, bool]:
    """The process that was named, or 0, and whether JSON is wanted."""
    pid, is_json = 0, False
    rest = iter(words)
    for word in rest:
        name, separator, value = word.partition("=")
        if name == "--pid":
            text = value if separator else next(rest, "")
            if not (text.isdecimal() and 0 < int(text) < 1 << 31):
                raise ConfigError(f"--pid {text} is not a process: use --pid and a number")
            pid = int(text)
        elif word == "--json" and verb == "status":
            is_json = True
        else:
            raise ConfigError(
                f"unknown option {word}: bicorn {verb} is a verb of its own; "
                f"an application is served as {verb}:app or ./{verb}.py"
            )
    return pid, is_json


def _the_only_server() -> int:
    servers = sorted(_servers())
    if len(servers) == 1:
        return servers[0]
    if not servers:
        raise ControlError("no server of yours runs here: start one, or name another's with --pid")
    listed = "; ".join(f"{pid} ({_command_of(pid)})" for pid in servers)
    raise ControlError(f"{len(servers)} servers run here, choose one with --pid: {listed}")


def _servers() -> set[int]:
    """The parents of this user, for root of everybody, in this network namespace."""
    me = os.geteuid()
    return {pid for pid in _doors() if (user := _user_of(pid)) is not None and me in (0, user)}


def _doors() -> Iterator[int]:
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
            rows = [line.split() for line in table]
    except OSError:
        return
    for row in rows:
        # The kernel shows an abstract name with an @ where its zero byte is.
        number = row[-1].removeprefix(f"@{DOOR_PREFIX}")
        if number != row[-1] and number.isdecimal():
            yield int(number)


def _user_of(pid: int) -> int | None:
    """The effective user of a process. Not the owner of its directory in /proc, which is root's for a process that
    has changed its user."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            for line in status:
                if line.startswith("Uid:"):
                    return int(line.split()[2])
    except OSError:
        pass
    return None


def _command_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as cmdline:
            words = cmdline.read(4096).rstrip("\0").replace("\0", " ")
    except OSError:
        return "it has just ended"
    command = "".join(one if one.isprintable() else "?" for one in words)
    return command if len(command) <= _LONGEST_COMMAND else f"{command[:_LONGEST_COMMAND]}..."


def _check_owner(sock: socket.socket, pid: int) -> None:
    """Anybody can take a free name: the kernel says which process has this one."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    owner, _, _ = _CREDENTIALS.unpack(data)
    if owner != pid:
        raise ControlError(
            f"the door of process {pid} belongs to process {owner}: it is an imposter's"
        )


def _conversation(sock: socket.socket, question: str, pid: int) -> str:
    answer = b""
    try:
        # One that turns us away does not wait for the question, and why can still be read.
        with contextlib.suppress(BrokenPipeError):
            sock.sendall(f"{question}\n".encode())
        # It may close without reading all that was said, which is no end like others.
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(1 << 16):
                answer += data
    except TimeoutError:
        raise ControlError(f"process {pid} does not answer: is it stopped?") from None
    return answer.decode("utf-8", "replace")


def _span(seconds: float) -> str:
    """Such as ``3 d 4 h``, ``12 min`` or ``7.5 s``."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{seconds:.1f} s"


def _size(count: int) -> str:
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def _state(worker: dict[str, Any]) -> str:
    blocked = worker["blocked"]
    return f"{worker['state']}, blocked {_span(blocked)}" if blocked else str(worker["state"])


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "worker": lambda worker: str(worker["pid"]),
    "slot": lambda worker: str(worker["slot"]),
    "generation": lambda worker: str(worker["generation"]),
    "state": _state,
    "age": lambda worker: _span(worker["age"]),
    "connections": lambda worker: str(worker["connections"]),
    "in flight": lambda worker: str(worker["in_flight"]),
    "requests": lambda worker: str(worker["requests"]),
    "errors": lambda worker: str(worker["errors"]),
    "lag": lambda worker: f"{worker['lag'] * 1000:.1f} ms",
    "memory": lambda worker: _size(worker["memory"]),
}
