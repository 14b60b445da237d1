"""What the load asks for, on ASGI; and paths that take as long as a test wants, or never end."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import content

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PAUSE = 0.005
"""Seconds between the parts of a streaming answer."""
DOWNLOAD_BLOCK = 64 * 1024


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    _, what, word = scope["path"].split("/", 2)
    if what == "hang":
        content.hang(word)
    if what == "slow":
        content.told("is slow")
        await asyncio.to_thread(Path(os.environ["REQUEST_FIFO"]).read_bytes)
    fields = [(name.encode(), value.encode()) for name, value in content.fields()]
    if what in STREAMS:
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        async for part in STREAMS[what](word, receive):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})
        return
    fields.append((b"content-length", str(len(word)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": word.encode()})


async def stream(word: str, _receive: Receive) -> AsyncIterator[bytes]:
    for number in range(content.STREAM_BLOCKS):
        yield content.block(word, number)
        await asyncio.sleep(PAUSE)


async def download(word: str, _receive: Receive) -> AsyncIterator[bytes]:
    """So many blocks, as fast as the client takes them."""
    content.told("sends a download")
    for number in range(int(word)):
        yield bytes([number % 256]) * DOWNLOAD_BLOCK


async def events(_word: str, receive: Receive) -> AsyncIterator[bytes]:
    """Server-sent events without an end, until the server says that it is time to part."""
    parting = asyncio.create_task(until_disconnect(receive))
    try:
        yield b"data: first\n\n"
        content.told("sends events")
        while not parting.done():
            yield b"data: tick\n\n"
            await asyncio.wait([parting], timeout=PAUSE)
        yield b"data: bye\n\n"
    finally:
        parting.cancel()


async def until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


STREAMS = {"stream": stream, "download": download, "events": events}
