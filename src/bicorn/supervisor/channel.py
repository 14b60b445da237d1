"""What a worker tells its parent, read from the parent's end of a socket pair.

A message is a header line, ``kind status length``, and so many bytes of UTF-8 text. Whatever else arrives is
dropped: a worker that runs wild must not bring its parent down. The other end is `bicorn.worker.channel`.
"""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

READY = "ready"
FAILED = "failed"

_LONGEST = 256 * 1024


class Message:
    """``text`` is the banner of a worker that is ready, or the error of one that failed with ``status``."""

    __slots__ = ("kind", "status", "text")

    def __init__(self, kind: str, status: int, text: str) -> None:
        self.kind = kind
        self.status = status
        self.text = text


class Channel:
    """The parent's end."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self._buffer = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def receive(self) -> list[Message]:
        """The messages that have arrived since the last time."""
        try:
            while data := os.read(self.socket.fileno(), 65536):
                self._buffer = (self._buffer + data)[-_LONGEST:]
        except (BlockingIOError, ConnectionResetError):
            pass
        return list(self._parse())

    def close(self) -> None:
        self.socket.close()

    def _parse(self) -> Iterator[Message]:
        while b"\n" in self._buffer:
            header, _, rest = self._buffer.partition(b"\n")
            kind, status, length = (header.decode("ascii", "replace").split(" ") + ["", "", ""])[:3]
            if not (status.isdigit() and length.isdigit()):
                self._buffer = rest
                continue
            if len(rest) < int(length):
                return
            self._buffer = rest[int(length) :]
            yield Message(kind, int(status), rest[: int(length)].decode("utf-8", "replace"))
