"""What the load asks for, on WSGI; and paths that take as long as a test wants, or never end."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import content


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    _, what, word = environ["PATH_INFO"].split("/", 2)
    if what == "hang":
        content.hang(word)
    if what == "slow":
        content.told("is slow")
        Path(os.environ["REQUEST_FIFO"]).read_bytes()
    if what == "stream":
        start_response("200 OK", content.fields())
        return stream(word)
    start_response("200 OK", [*content.fields(), ("Content-Length", str(len(word)))])
    return [word.encode()]


def stream(word: str) -> Iterator[bytes]:
    for number in range(content.STREAM_BLOCKS):
        yield content.block(word, number)
