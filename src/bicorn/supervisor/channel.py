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
            kind, status, length = _read_header(header)
            if not kind:
                self._buffer = rest
                continue
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            yield Message(kind, status, rest[:length].decode("utf-8", "replace"))


def _read_header(header: bytes) -> tuple[str, int, int]:
    """Kind, status and length; an empty kind where it is no header."""
    words = header.decode("ascii", "replace").split(" ")
    if len(words) != 3 or not (words[1].isdigit() and words[2].isdigit()):
        return "", 0, 0
    return words[0], int(words[1]), int(words[2])
