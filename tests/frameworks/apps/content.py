"""What every app of this folder serves, and the tests expect. Knows no framework.

The routes, the same in each app:

    GET  /?name=N     "Hello, N!"
    POST /form        fields `name` and `city`: "NAME from CITY"
    POST /upload      a multipart form with `file`: "FILENAME SIZE SHA256"
    GET  /download    `blocks()`, streamed
    GET  /cookies     sets `first` and `second`; answers with the value of the cookie `given`
    GET  /redirect    to /
    GET  /error       a view that raises
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

BLOCK = 64 * 1024
BLOCKS = 80


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Deliberate(Exception):
    """What the view behind /error raises."""


def blocks() -> Iterator[bytes]:
    """The download: each block differs, so that a lost or doubled one shows."""
    for number in range(BLOCKS):
        yield number.to_bytes(4, "big") * (BLOCK // 4)


async def blocks_async() -> AsyncIterator[bytes]:
    for block in blocks():
        yield block


def describe(filename: str, file: Readable) -> str:
    """The answer to an upload."""
    digest = hashlib.sha256()
    size = 0
    while block := file.read(BLOCK):
        digest.update(block)
        size += len(block)
    return f"{filename} {size} {digest.hexdigest()}"
