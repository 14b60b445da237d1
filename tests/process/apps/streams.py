"""Answers without an end of their own, on ASGI: each path takes the news that the worker ends in another way."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from asgi import opened, told

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NOT_AGAIN = 0.3


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    assert (await receive())["type"] == "http.request"
    await ROUTES[scope["path"]](scope, receive, send)


async def began(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await said(send, b"began ")


async def said(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def ended(scope: Message, receive: Receive, send: Send) -> None:
    """Ends its stream when it is asked to."""
    await began(send)
    assert (await receive())["type"] == "http.disconnect"
    await said(send, b"ended", more=False)


async def abandoned(scope: Message, receive: Receive, send: Send) -> None:
    """Takes it for the client's end, and returns."""
    await began(send)
    assert (await receive())["type"] == "http.disconnect"


async def once(scope: Message, receive: Receive, send: Send) -> None:
    """Asks again, while it sends."""
    await began(send)
    assert (await receive())["type"] == "http.disconnect"
    try:
        await asyncio.wait_for(receive(), NOT_AGAIN)
    except TimeoutError:
        await said(send, b"not again", more=False)


async def late(scope: Message, receive: Receive, send: Send) -> None:
    """Has not begun when the others are told, and listens all the time."""
    news = asyncio.ensure_future(receive())
    await opened(os.environ["REQUEST_FIFO"])
    assert not news.done()
    await began(send)
    assert (await news)["type"] == "http.disconnect"
    await said(send, b"ended", more=False)


async def deaf(scope: Message, receive: Receive, send: Send) -> None:
    """Never asks, as a download does not."""
    await began(send)
    told("began")
    await opened(os.environ["REQUEST_FIFO"])
    await said(send, b"whole", more=False)


ROUTES = {
    "/ended": ended,
    "/abandoned": abandoned,
    "/once": once,
    "/late": late,
    "/deaf": deaf,
}
