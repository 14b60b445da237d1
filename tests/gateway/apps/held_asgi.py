"""An ASGI application that holds requests back until a test opens a pipe, and tells which it was called for."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path = scope["path"]
    os.write(2, f"app called for {path}\n".encode())
    if path == "/raise":
        raise ValueError("the application's own")
    if path == "/held":
        await opened(os.environ["REQUEST_FIFO"])
    length = 0
    if scope["method"] == "POST":
        while True:
            message = await receive()
            length += len(message.get("body", b""))
            if not message.get("more_body"):
                break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{path} {length}".encode()})


async def opened(fifo: str) -> None:
    """Waits until the test has opened the other end and closed it."""
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    came = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, came.set)
    os.write(2, b"app waits\n")
    try:
        await came.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
