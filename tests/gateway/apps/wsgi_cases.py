"""A WSGI application for the tests of the WSGI gateway: a path for each promise of PEP 3333.

What a test has to know of an application's inside is printed, since the answer may not reach anyone.
"""

import hashlib
import io
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]

MEGABYTE = 1_000_000
BLOCK = b"x" * 100_000


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return ROUTES[environ["PATH_INFO"]](environ, start_response)


def say(*words: object) -> None:
    print(*words, flush=True)


class Blocks:
    """An iterable of blocks that says when it is closed, and may fail on its way."""

    def __init__(self, name: str, blocks: Iterable[bytes]) -> None:
        self._name = name
        self._blocks = iter(blocks)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        say("closed", self._name)


def answer(start_response: Start, value: object) -> list[bytes]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def facts(environ: Environ, start_response: Start) -> Iterable[bytes]:
    shown: dict[str, Any] = {
        key: value for key, value in environ.items() if isinstance(value, str | bool)
    }
    shown["wsgi.version"] = list(environ["wsgi.version"])
    kinds = {key: type(value).__name__ for key, value in environ.items()}
    return answer(start_response, {"environ": shown, "kinds": kinds})


@validator
def validated(environ: Environ, start_response: Start) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    return answer(start_response, body or b"validated")


@validator
def validated_stream(environ: Environ, start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    return (block for block in (b"and ", b"", b"yielded"))


def read_in_ways(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Every method of `wsgi.input`, over lines `one` to `nine`."""
    source = environ["wsgi.input"]
    parts = [
        source.read(0),
        source.read(2),
        source.readline(),
        source.readline(2),
        source.readline(100),
        *source.readlines(1),
        next(source),
        *iter(source),
        source.read(),
        source.read(10),
        source.readline(),
        b"".join(source.readlines()),
    ]
    return answer(start_response, [part.decode() for part in parts])


def digest(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """What was read, where it lay, and the length that was announced."""
    source, seen = environ["wsgi.input"], hashlib.sha256()
    try:
        is_file = os.fstat(source.fileno()).st_nlink == 0
    except (OSError, AttributeError, io.UnsupportedOperation):
        is_file = False
    while block := source.read(65536):
        seen.update(block)
    length = environ.get("CONTENT_LENGTH")
    told = [seen.hexdigest(), is_file, length, environ["wsgi.input_terminated"]]
    return answer(start_response, told)


def first_line(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Reads a line, says so, and then the rest."""
    line = environ["wsgi.input"].readline()
    say("first line", line)
    return answer(start_response, line + environ["wsgi.input"].read())


def read_until_gone(environ: Environ, start_response: Start) -> Iterable[bytes]:
    say("reading")
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        say("reading raised", type(error).__name__)
        raise
    return answer(start_response, b"")


def write_and_yield(environ: Environ, start_response: Start) -> Iterator[bytes]:
    write = start_response("200 OK", [])
    write(b"a")
    write(b"")
    yield b"b"
    yield b""
    yield b"c"


def one_item(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])
    return (b"one item",) if environ["QUERY_STRING"] == "tuple" else [b"one item"]


def no_items(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])
    return []


def replaced(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """An error before a byte was sent: the second head replaces the first."""
    start_response("200 OK", [("X-First", "yes")])
    try:
        raise LookupError("replaced")
    except LookupError:
        start_response("503 Sorry", [("X-Second", "yes")], sys.exc_info())
    return [b"sorry"]


def raised_again(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """An error after a byte was sent: `start_response` raises it again."""
    start_response("200 OK", [])
    yield b"first"
    try:
        raise LookupError("on purpose")
    except LookupError as error:
        try:
            start_response("500 Sorry", [], sys.exc_info())
        except LookupError as again:
            say("raised again:", again is error)
            raise
    yield b"never"


def started_twice(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])
    try:
        start_response("201 Created", [])
    except AssertionError:
        return [b"refused"]
    return [b"taken"]


def closing(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """`close()` after each way in which an iteration may end."""
    case = environ["QUERY_STRING"]

    def broken() -> Iterator[bytes]:
        yield b"a"
        raise LookupError("on purpose")

    def endless() -> Iterator[bytes]:
        while True:
            yield BLOCK

    headers = {"short": [("Content-Length", "2")], "long": [("Content-Length", "9")]}.get(case, [])
    blocks: Iterable[bytes] = {"broken": broken, "endless": endless}.get(
        case, lambda: [b"a", b"bc"]
    )()
    if case != "unstarted":
        start_response("200 OK", headers)
    return Blocks(case, blocks)


def closing_in_order(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """The answer is complete before `close()` is called, which waits for the client's word."""
    fifo = environ["QUERY_STRING"]

    class Waiting(Blocks):
        def close(self) -> None:
            say("closing with", Path(fifo).read_text())

    start_response("200 OK", [("Content-Length", "2")])
    return Waiting("waiting", [b"ok"])


def file(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """A file through `wsgi.file_wrapper`: `offset`, announced `length`, `kind`."""
    query = dict(item.split("=") for item in environ["QUERY_STRING"].split("&") if item)
    data = bytes(range(256)) * int(query.get("kib", "40")) * 4
    source: Any
    if query.get("kind") == "memory":
        source = io.BytesIO(data)
    else:
        source = tempfile.TemporaryFile(buffering=0 if query.get("kind") == "raw" else -1)  # noqa: SIM115
        source.write(data)
        source.flush()
    source.seek(int(query.get("offset", "0")))
    close = source.close
    headers = [("Content-Length", query["length"])] if "length" in query else []
    start_response("200 OK", headers)
    wrapper = environ["wsgi.file_wrapper"](source, 8192)

    def close_and_say() -> None:
        close()
        say("closed a file")

    wrapper.close = close_and_say
    return wrapper  # type: ignore[no-any-return]


def held(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """Blocks, and then a wait until someone writes to the fifo."""
    start_response("200 OK", [])
    yield b"first"
    yield b"second"
    Path(environ["QUERY_STRING"]).read_text()
    yield b"third"


def flood_then_held(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """More than a socket takes, and then a wait until someone writes to the fifo."""
    start_response("200 OK", [])
    for _ in range(300):
        yield BLOCK
    say("flooded")
    Path(environ["QUERY_STRING"]).read_text()


def download(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [])
    for _ in range(int(environ["QUERY_STRING"]) * MEGABYTE // len(BLOCK)):
        yield BLOCK
    say("produced all")


def thread(environ: Environ, start_response: Start) -> Iterable[bytes]:
    is_main = threading.current_thread() is threading.main_thread()
    return answer(start_response, [is_main, os.getpid()])


def hello(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return answer(start_response, b"hello")


def contract(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Calls `start_response` as asked, and answers with the exception that it met."""
    wrong: dict[str, tuple[Any, Any]] = {
        "status of bytes": (b"200 OK", []),
        "status without digits": ("OK", []),
        "status of two digits": ("20 OK", []),
        "status without a space": ("200OK", []),
        "informational status": ("101 Switching Protocols", []),
        "CRLF in the status": ("200 OK\r\nX-A: b", []),
        "status beyond Latin-1": ("200 \u20ac", []),
        "headers no list": ("200 OK", (("X-A", "b"),)),
        "header no tuple": ("200 OK", [["X-A", "b"]]),
        "header of bytes": ("200 OK", [(b"X-A", b"b")]),
        "header of three": ("200 OK", [("X-A", "b", "c")]),
        "value no str": ("200 OK", [("X-A", 5)]),
        "name no token": ("200 OK", [("X A", "b")]),
        "colon in a name": ("200 OK", [("X-A:", "b")]),
        "CRLF in a value": ("200 OK", [("X-A", "b\r\nX-C: d")]),
        "LF in a value": ("200 OK", [("X-A", "b\nc")]),
        "NUL in a value": ("200 OK", [("X-A", "b\0c")]),
        "value beyond Latin-1": ("200 OK", [("X-A", "\u20ac")]),
        "lone surrogate": ("200 OK", [("X-A", "\udc80")]),
        "length no number": ("200 OK", [("Content-Length", "five")]),
        "two lengths": ("200 OK", [("Content-Length", "5"), ("Content-Length", "6")]),
    }
    try:
        start_response(*wrong[environ["QUERY_STRING"].replace("+", " ")])
    except Exception as error:  # noqa: BLE001 - the test looks at what it is
        told = f"{type(error).__name__}: {error!s}".encode("utf-8", "backslashreplace")
        return answer(start_response, told)
    return [b"nothing"]


ROUTES: dict[str, Callable[[Environ, Start], Iterable[bytes]]] = {
    f"/{name.replace('_', '-')}": globals()[name]
    for name in (
        "closing", "closing_in_order", "contract", "digest", "download", "facts", "file", "first_line",
        "flood_then_held", "held", "hello", "no_items", "one_item", "raised_again", "read_in_ways",
        "read_until_gone", "replaced", "started_twice", "thread", "validated", "validated_stream",
        "write_and_yield",
    )
}  # fmt: skip
