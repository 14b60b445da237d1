"""An ASGI application with a task that computes in small steps and notes how long it is kept from its next step.

`/` answers at once. `/gaps` gives the longest gap between two steps since it was last asked, as JSON: on the wall
clock, and in the thread's own time, which leaves out what other processes took of the processor.
"""

import asyncio
import json
import time
from typing import Any

from benchmarks.apps.asgi import Message, Receive, Send, hello

gaps = {"wall_us": 0.0, "thread_us": 0.0}


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["path"] == "/gaps":
        await _answer_gaps(send)
    else:
        await hello(receive, send)


async def _compute() -> None:
    while True:
        wall, thread = time.perf_counter_ns(), time.thread_time_ns()
        await asyncio.sleep(0)
        gaps["wall_us"] = max(gaps["wall_us"], (time.perf_counter_ns() - wall) / 1000)
        gaps["thread_us"] = max(gaps["thread_us"], (time.thread_time_ns() - thread) / 1000)
        sum(range(2000))


async def _answer_gaps(send: Send) -> None:
    body = json.dumps(gaps).encode()
    gaps.update(wall_us=0.0, thread_us=0.0)
    headers: list[Any] = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    task = asyncio.create_task(_compute())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    task.cancel()
    await send({"type": "lifespan.shutdown.complete"})
