"""The ASGI application of the works hello, browser, echo1k, big and stream. Knows no server."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HELLO = b"Hello, World!"
BIG = b"x" * 100_000
BLOCK = b"x" * 500
BLOCKS = 20


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await ROUTES[scope["path"]](receive, send)


async def hello(receive: Receive, send: Send) -> None:
    await _start(send, b"13")
    await send({"type": "http.response.body", "body": HELLO})


async def echo(receive: Receive, send: Send) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await _start(send, b"%d" % len(body))
    await send({"type": "http.response.body", "body": body})


async def big(receive: Receive, send: Send) -> None:
    await _start(send, b"100000")
    await send({"type": "http.response.body", "body": BIG})


async def stream(receive: Receive, send: Send) -> None:
    """Sends its blocks without suspending in between, as a template that streams does."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain")],
        }
    )
    for _ in range(BLOCKS):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _start(send: Send, length: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", length)],
        }
    )


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


ROUTES = {"/": hello, "/echo": echo, "/big": big, "/stream": stream}
