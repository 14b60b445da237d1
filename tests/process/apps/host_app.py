"""Says of its worker what the machine knows of it: who it is, what it inherits, which descriptors its children get."""

import json
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Message = dict[str, Any]


def answer(path: str) -> bytes:
    if path == "/descriptors":
        listing = ["sh", "-c", "for name in /proc/$$/fd/*; do readlink $name || true; done"]
        # As a careless application starts one.
        done = subprocess.run(listing, stdout=subprocess.PIPE, close_fds=False, check=True)
        return json.dumps(done.stdout.decode().splitlines()).encode()
    umask = os.umask(0)
    os.umask(umask)
    told = {
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": os.getgroups(),
        "umask": umask,
        "environment": dict(os.environ),
        "parent": os.getppid(),
        "streams": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
    }
    return json.dumps(told).encode()


async def asgi(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer(scope["path"])})


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [answer(environ["PATH_INFO"])]
