"""What a worker tells its parent, read from the parent's end of a socket pair.

A message is a header line, ``kind status length``, and so many bytes of UTF-8 text. Whatever else arrives is
dropped: a worker that runs wild must not bring its parent down. The other end is `bicorn.worker.channel`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

READY = "ready"
FAILED = "failed"
DRAINING = "draining"

_LONGEST = 256 * 1024


class Message:
    """``text`` is the banner of a worker that is ready, or why one failed that exits with ``status``: in the last
    line what is wrong, above it what the application itself says. A worker that drains has nothing to add."""

    __slots__ = ("kind", "status", "text")

    def __init__(self, kind: str, status: int, text: str) -> None:
        self.kind = kind
        self.status = status
        self.text = text


class Channel:
    """The parent's end."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._buffer = b""
        self.is_at_end = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> list[Message]:
        """The messages that have arrived since the last time."""
        try:
            while data := self._socket.recv(_LONGEST):
                self._buffer = (self._buffer + data)[-_LONGEST:]
            self.is_at_end = True
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.is_at_end = True
        return list(self._parse())

    def close(self) -> None:
        self._socket.close()

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
    if len(header) > 64 or len(words) != 3 or not (words[1].isdigit() and words[2].isdigit()):
        return "", 0, 0
    return words[0], int(words[1]), int(words[2])
