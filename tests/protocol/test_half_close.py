"""A client that says that it has sent all, before its answer: all of a request, or not all of it."""

import asyncio
import socket
from typing import Any

import pytest

from bicorn.config import Config
from tests.protocol.echo import PATIENCE, Served, converse, echo, read_answers, serving_here

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        POST + b"Content-Length: 3\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_a_complete_request_is_answered(served: Served, request_bytes: bytes) -> None:
    for at in range(1, len(request_bytes)):
        answers = served.exchange([request_bytes[:at], request_bytes[at:]])
        assert [answer.status for answer in answers] == [200], at


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 10\r\n\r\nhello",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ],
)
def test_a_body_that_is_cut_short_never_looks_complete(request_bytes: bytes) -> None:
    seen: list[dict[str, Any]] = []
    has_ended = asyncio.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/ended":
            has_ended.set()
            return await echo(scope, receive, send)
        # Reads only after its client has ended, when all that will ever come is here.
        await has_ended.wait()
        while not seen or seen[-1].get("more_body", False):
            seen.append(await receive())
        return None

    with (
        serving_here(Config(app="app", access_log=False), app) as served,
        socket.create_connection(served.address, PATIENCE) as connection,
    ):
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        told = converse(served.address, [b"GET /ended HTTP/1.1\r\nHost: a\r\n\r\n"])
        assert [answer.status for answer in read_answers(told)] == [200]
        while connection.recv(65536):
            pass
    assert seen[-1] == {"type": "http.disconnect"}
    assert b"".join(message.get("body", b"") for message in seen) == b"hello"
