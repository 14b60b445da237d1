"""The application of the process tests, on ASGI: each path does to its worker what a test wants to see."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]

if "LOAD_FIFO" in os.environ:
    Path(os.environ["LOAD_FIFO"]).read_bytes()


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path = scope["path"]
    body = await answer(path)
    status = int(path.removeprefix("/status/")) if path.startswith("/status/") else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def answer(path: str) -> bytes:
    if path == "/wait":
        await opened(os.environ["REQUEST_FIFO"])
    elif path == "/stuck":
        # Blocks the whole loop, which no application should do and some do.
        told("stuck")
        Path(os.environ["REQUEST_FIFO"]).read_bytes()
    elif path == "/stuck-later":
        # The same in a later turn of the loop.
        await asyncio.sleep(0)
        Path(os.environ["REQUEST_FIFO"]).read_bytes()
    elif path == "/raise":
        raise ValueError("the application's own")
    elif path == "/abort":
        os.abort()
    elif path == "/leave":
        os._exit(7)
    elif path == "/exit":
        sys.exit(8)
    elif path == "/print":
        sys.stdout.write("printed " * 20 + "\n")
    return str(os.getpid()).encode()


async def opened(fifo: str) -> None:
    """Waits until the test has opened the other end and closed it."""
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    came = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, came.set)
    told("waits")
    try:
        await came.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


def told(what: str) -> None:
    """Tells the test, which reads standard error."""
    os.write(2, f"app {what}\n".encode())
