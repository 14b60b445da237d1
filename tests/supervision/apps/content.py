"""What the applications answer with, on WSGI and ASGI alike: who they are, and each way in which a worker can hang.

The version is read when this module is imported, as code is: a test that writes another one has changed the code.
"""

import ctypes
import itertools
import os
import threading
import time
from pathlib import Path

VERSION = Path(os.environ["VERSION_FILE"]).read_text() if "VERSION_FILE" in os.environ else "1"
if VERSION == "broken":
    raise RuntimeError("this version does not even start")

STREAM_BLOCKS = 20


def fields() -> list[tuple[str, str]]:
    """Response fields that tell the clients of the tests who answers."""
    return [("x-worker", str(os.getpid())), ("x-version", VERSION)]


def block(word: str, number: int) -> bytes:
    """A part of a streaming answer."""
    return f"{word} {number} ".encode() * 100


def told(what: str) -> None:
    """Tells the test, which reads standard error."""
    os.write(2, f"app {what}\n".encode())


def hang(way: str) -> None:
    """Never comes back. A test finds the line in the worker's report by its mark."""
    told(f"hangs {way}")
    WAYS[way]()


def in_c_with_the_gil() -> None:
    """In a mutex of C that is locked twice, since no signal gets a thread out of that."""
    lock, mutex = ctypes.PyDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
    lock(mutex)
    lock(mutex)  # mark: gil


def in_python() -> None:
    all(True for _ in itertools.count())  # mark: python


def in_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()  # mark: lock


def asleep() -> None:
    time.sleep(3600)  # mark: sleep


WAYS = {
    "gil": in_c_with_the_gil,
    "python": in_python,
    "lock": in_a_lock,
    "sleep": asleep,
}
