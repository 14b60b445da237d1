"""One application for both interfaces whose paths are the ways in which it hangs."""

import asyncio
import ctypes
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

FOREVER = 3600.0


def in_sleep() -> None:
    time.sleep(FOREVER)


def in_busy_python() -> None:
    while True:
        pass


def in_a_deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def in_c_with_the_gil() -> None:
    mutex = ctypes.create_string_buffer(256)
    library = ctypes.PyDLL(None)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


WAYS = {
    f"/{way.__name__}": way for way in (in_sleep, in_busy_python, in_a_deadlock, in_c_with_the_gil)
}


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] in WAYS:
        WAYS[environ["PATH_INFO"]]()
    start_response("200 OK", [])
    return [b"done"]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["path"] in WAYS:
        WAYS[scope["path"]]()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/wait":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await asyncio.sleep(FOREVER)
    await send({"type": "http.response.body", "body": b"done"})
