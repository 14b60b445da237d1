"""An ASGI application that takes its time: before it reads, or with the loop blocked."""

import asyncio
import time

from plain_asgi import Message, Receive, Send, answer, echo

LONGER_THAN_ANY_TIMEOUT = 1.2


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    match scope["path"]:
        case "/now":
            await answer(send, b"now")
        case "/block":
            print("blocking", flush=True)
            time.sleep(LONGER_THAN_ANY_TIMEOUT)
            await answer(send, b"blocked")
        case _:
            if scope["headers"] and (b"expect", b"100-continue") in scope["headers"]:
                await asyncio.sleep(LONGER_THAN_ANY_TIMEOUT)
            await echo(scope, receive, send)
