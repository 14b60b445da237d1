"""A client that sends bytes as they are, for what no well-behaved client would send."""

import socket
from dataclasses import dataclass, field

PATIENCE = 30.0


@dataclass
class Answer:
    """One response, parsed strictly: whatever is not well formed is an assertion error."""

    status: int
    reason: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = True

    def header(self, name: str) -> str | None:
        """The value of a field that may be there once."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, values
        return values[0] if values else None


class Wire:
    """A connection. ``answers`` reads responses one after the other."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PATIENCE)
        self._buffer = b""

    @classmethod
    def over(cls, sock: socket.socket) -> "Wire":
        """Speaks over a socket that is connected already, such as a Unix one."""
        wire = cls.__new__(cls)
        wire.socket, wire._buffer = sock, b""
        return wire

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> "Wire":
        self.socket.sendall(data)
        return self

    def end(self) -> "Wire":
        """Says that nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def answer(self, method: str = "GET") -> Answer:
        """Reads one response. ``complete`` is false where the connection ended inside its body."""
        head = self._until(b"\r\n\r\n")
        line, *fields = head[:-4].decode("latin-1").split("\r\n")
        version, status, reason = (*line.split(" ", 2), "")[:3]
        assert version == "HTTP/1.1", line
        answer = Answer(int(status), reason)
        for text in fields:
            name, colon, value = text.partition(":")
            assert colon, text
            assert name == name.strip(), text
            answer.headers.append((name, value.strip()))
        if 100 <= answer.status < 200 or answer.status in (204, 304) or method == "HEAD":
            return answer
        self._read_body(answer)
        return answer

    def is_closed(self) -> bool:
        """Waits for the peer's next byte or end; whether it is the end (a reset is not)."""
        return not self._buffer and self.socket.recv(1) == b""

    def _read_body(self, answer: Answer) -> None:
        try:
            if answer.header("transfer-encoding") is not None:
                assert answer.header("content-length") is None
                answer.body = self._chunks()
            elif (length := answer.header("content-length")) is not None:
                self._take(int(length), answer)
            else:
                self._take(None, answer)
        except EOFError as end:
            answer.body, answer.complete = end.args[0], False

    def _chunks(self) -> bytes:
        body = b""
        while True:
            try:
                size = int(self._until(b"\r\n"), 16)
                if size == 0:
                    assert self._until(b"\r\n") == b"\r\n"
                    return body
                body += self._exactly(size)
                assert self._exactly(2) == b"\r\n"
            except EOFError:
                raise EOFError(body) from None

    def _take(self, length: int | None, answer: Answer) -> None:
        if length is not None:
            answer.body = self._exactly(length)
            return
        answer.body = self.rest()

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while data := self._receive():
            self._buffer += data
        rest, self._buffer = self._buffer, b""
        return rest

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        end = self._buffer.index(mark) + len(mark)
        taken, self._buffer = self._buffer[:end], self._buffer[end:]
        return taken

    def _exactly(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._more()
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def _more(self) -> None:
        data = self._receive()
        if not data:
            rest, self._buffer = self._buffer, b""
            raise EOFError(rest)
        self._buffer += data

    def _receive(self) -> bytes:
        return self.socket.recv(65536)


class Recording(Wire):
    """Responses that have been received before, up to the end of the connection."""

    def __init__(self, data: bytes) -> None:
        self._buffer = data

    def __bool__(self) -> bool:
        """Whether there is more to read."""
        return bool(self._buffer)

    def head(self) -> str:
        """The status line and fields of the next response, which stays unread."""
        return self._buffer.partition(b"\r\n\r\n")[0].decode("latin-1")

    def close(self) -> None:
        """There is no connection."""

    def _receive(self) -> bytes:
        return b""


def request(
    path: str = "/", *, method: str = "GET", headers: tuple[str, ...] = (), body: bytes = b""
) -> bytes:
    """A plain request; a body gets its length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body
