"""An ASGI application with one path for each thing that a test of HTTP itself asks for."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BLOCK = bytes(range(256)) * 256


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    handler = ROUTES.get(scope["path"], hello)
    await handler(scope, receive, send)


async def answer(
    send: Send, body: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes | None:
    """The request's body, or None where the peer left before it was complete."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    await answer(send, b"hello")


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    if body is not None:
        await answer(send, body)


async def count(scope: Message, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    await answer(send, b"gone" if body is None else str(len(body)).encode())


async def ignore(scope: Message, receive: Receive, send: Send) -> None:
    await answer(send, b"ignored")


async def request(scope: Message, receive: Receive, send: Send) -> None:
    facts = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "version": scope["http_version"],
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
    }
    await answer(send, json.dumps(facts).encode())


async def status(scope: Message, receive: Receive, send: Send) -> None:
    await answer(send, b"not for the wire", int(scope["query_string"]))


async def closing(scope: Message, receive: Receive, send: Send) -> None:
    await answer(send, b"bye", headers=((b"Connection", b"close"),))


async def stream(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    for piece in (b"one", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def large(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    for _ in range(int(scope["query_string"])):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
    await send({"type": "http.response.body"})


async def own_fields(scope: Message, receive: Receive, send: Send) -> None:
    fields = ((b"date", b"yesterday"), (b"server", b"mine"))
    await answer(send, b"own", headers=fields)


ROUTES = {
    "/echo": echo,
    "/count": count,
    "/ignore": ignore,
    "/request": request,
    "/status": status,
    "/closing": closing,
    "/stream": stream,
    "/large": large,
    "/own-fields": own_fields,
}
