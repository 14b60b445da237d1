"""The application of the process tests, on WSGI: each path does to its worker what a test wants to see."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

if "LOAD_FIFO" in os.environ:
    Path(os.environ["LOAD_FIFO"]).read_bytes()


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    body = answer(path)
    status = path.removeprefix("/status/") if path.startswith("/status/") else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    return [body]


def answer(path: str) -> bytes:
    if path == "/wait":
        told("waits")
        Path(os.environ["REQUEST_FIFO"]).read_bytes()
    elif path == "/stuck":
        told("stuck")
        without_end(os.environ["REQUEST_FIFO"])
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


def without_end(fifo: str) -> None:
    """What no exception gets out of."""
    while True:
        try:
            Path(fifo).read_bytes()
        except BaseException:  # noqa: BLE001, S112 - the misbehaviour that is tested
            continue


def told(what: str) -> None:
    """Tells the test, which reads standard error."""
    os.write(2, f"app {what}\n".encode())
