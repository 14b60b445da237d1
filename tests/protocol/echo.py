"""An engine in this process that serves an application which says what it was given.

Owns the thread that the engine runs in, and the client's side of one connection. Everything goes over
real sockets.
"""

import asyncio
import errno
import functools
import json
import re
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bicorn._native import AsgiGateway, Engine
from bicorn.config import Config

PATIENCE = 20.0
"""Seconds after which something that should have happened has failed. No test waits for it to pass."""

CLOSED = {errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN}

Message = dict[str, Any]


@dataclass(frozen=True)
class Echo:
    """A request as the application saw it."""

    method: str
    path: str
    query: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Answer:
    """One response: an echo, or a refusal with the sentence that gives its reason."""

    status: int
    echo: Echo | None = None
    reason: str = ""


@dataclass
class Served:
    """Where the engine is reached, and what went wrong inside the application."""

    address: tuple[str, int]
    errors: list[BaseException] = field(default_factory=list)

    def exchange(self, pieces: Iterable[bytes]) -> list[Answer]:
        """Sends the pieces on one connection, ends it, and reads all answers."""
        return read_answers(converse(self.address, pieces))


async def echo(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[..., Awaitable[None]]
) -> None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message.get("more_body", False):
            break
    told = {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "version": scope["http_version"],
        "headers": [[text.decode("latin-1") for text in pair] for pair in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    content = b"" if scope["method"] == "HEAD" else json.dumps(told).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@contextmanager
def serving_here(config: Config, app: Callable[..., Awaitable[None]] = echo) -> Iterator[Served]:
    """Runs an engine on an asyncio loop in a thread, on a port of the kernel's choice."""
    loop = asyncio.SelectorEventLoop()
    options: dict[str, Any] = {"loop": loop}
    if sys.version_info >= (3, 12):
        options["eager_start"] = True
    errors: list[BaseException] = []
    gateway = AsgiGateway(
        app,
        spawn=functools.partial(asyncio.Task, **options),
        create_future=loop.create_future,
        call_soon=loop.call_soon,
        state=None,
        report=lambda error, _line, _id: errors.append(error),
    )
    engine = Engine(config, gateway)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        engine.add_listener(listener.fileno())
        address = listener.getsockname()
    thread = threading.Thread(target=_run, args=(loop, engine))
    thread.start()
    try:
        yield Served(address, errors)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)


def _run(loop: asyncio.AbstractEventLoop, engine: Engine) -> None:
    loop.add_reader(engine.fileno(), engine.poll)
    loop.run_forever()
    loop.remove_reader(engine.fileno())
    engine.close()
    # The requests that were left are told that their client is gone, and end.
    while tasks := asyncio.all_tasks(loop):
        loop.run_until_complete(asyncio.wait(tasks))
    loop.close()


def converse(address: tuple[str, int], pieces: Iterable[bytes]) -> bytes:
    """Sends pieces as they are, each in a segment of its own, and reads to the connection's end.

    A server that has said its last may close before all is sent; what it said must reach us all the same.
    """
    with socket.create_connection(address, PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno not in CLOSED:
                raise
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            assert received, "a reset ate the answer"
    return received


def read_answers(data: bytes) -> list[Answer]:
    """Reads the final responses of one connection. What is not well formed is an assertion error."""
    answers = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        assert end, data
        line, *lines = head.decode("latin-1").split("\r\n")
        matched = re.fullmatch(r"HTTP/1\.1 (\d{3}) [ -~]*", line)
        assert matched, line
        fields = dict(_field(text) for text in lines)
        assert len(fields) == len(lines), lines
        status = int(matched[1])
        if status < 200:
            data = rest
            continue
        length = int(fields["content-length"])
        content, data = rest[:length], rest[length:]
        assert len(content) == length or not content, head
        answers.append(_answer(status, content))
    return answers


def _field(text: str) -> tuple[str, str]:
    matched = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t]*)", text)
    assert matched, text
    return matched[1].lower(), matched[2]


def _answer(status: int, content: bytes) -> Answer:
    if status != 200:
        return Answer(status, reason=content.decode().strip())
    if not content:
        return Answer(status)
    told = json.loads(content)
    told["headers"] = [(name, value) for name, value in told["headers"]]
    told["body"] = told["body"].encode("latin-1")
    return Answer(status, Echo(**told))
