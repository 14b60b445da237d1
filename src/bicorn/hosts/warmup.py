"""The request that a new worker makes of its own application, before it lets any client in.

Owns the client's side, which runs in a thread and speaks over a socket pair; the other end is served by the
engine like every connection. So the application is called in the real way, and whatever it does at its first
request is done. What serves meanwhile, and what becomes of a worker whose application does not answer, is the
host's and the worker's.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from bicorn.errors import AppStartupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bicorn._native import Engine
    from bicorn.config import Config

_STATUS_LINE = 64
"""Bytes of an answer in which its status is found."""


class WarmUp:
    """One request for ``warmup_path``. ``done`` is called in the client's thread when it is over."""

    def __init__(self, config: Config, engine: Engine, done: Callable[[], object]) -> None:
        self._path = config.warmup_path
        self._timeout = config.startup_timeout
        self._done = done
        self._complaint = ""
        self._socket, theirs = socket.socketpair()
        with theirs:
            engine.adopt_connection(theirs.fileno())
        self._client = threading.Thread(target=self._visit, name="bicorn-warmup", daemon=True)
        self._client.start()

    def judge(self) -> None:
        """Once it is over: raises `bicorn.errors.AppStartupError` unless the answer was 2xx or 3xx."""
        self._client.join()
        if self._complaint:
            raise AppStartupError(f"GET {self._path} {self._complaint} (--warmup-path)")

    def abandon(self) -> None:
        """Ends it, whatever it has come to."""
        # The client may have ended meanwhile.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._client.join()

    def _visit(self) -> None:
        try:
            status = self._ask(time.monotonic() + self._timeout)
        except TimeoutError:
            self._complaint = f"was not answered within {self._timeout:g} s"
        except OSError as error:
            self._complaint = f"was not answered: {error.strerror}"
        else:
            self._complaint = _complaint_of(status)
        finally:
            self._socket.close()
            self._done()

    def _ask(self, deadline: float) -> str:
        """The status, or nothing where the connection ended without one.

        The answer is read to its end: the client that leaves before is told to the application as one that left.
        """
        from urllib.parse import quote

        # What a browser would make of it; what is encoded already stays.
        path = quote(self._path, safe="/?%!$&'()*+,;=:@~")
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bicorn-warmup\r\nConnection: close\r\n\r\n"
        self._socket.settimeout(_left_until(deadline))
        self._socket.sendall(head.encode())
        answer = b""
        while data := self._socket.recv(65536):
            answer += data[: _STATUS_LINE - len(answer)]
            self._socket.settimeout(_left_until(deadline))
        _version, _, rest = answer.partition(b" ")
        return rest[:3].decode("ascii", "replace")


def _left_until(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _complaint_of(status: str) -> str:
    if not status:
        return "was not answered: the connection was closed"
    if status[0] in "23":
        return ""
    return f"answered {status}: a worker serves when that is 2xx or 3xx"
