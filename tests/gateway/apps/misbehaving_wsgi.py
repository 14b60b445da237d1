"""A WSGI application that does wrong what the path names."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from misbehaviour import exception, recurse

Environ = dict[str, Any]
Start = Callable[..., Callable[[Any], object]]

HEADS: dict[str, tuple[Any, Any]] = {
    "crlf-in-header": ("200 OK", [("a", "b\r\nc: d")]),
    "crlf-in-name": ("200 OK", [("a\r\nb", "c")]),
    "crlf-in-status": ("200 OK\r\na: b", []),
    "header-of-wrong-type": ("200 OK", [(b"a", b"b")]),
    "header-name-beyond-ascii": ("200 OK", [("\xff", "a")]),
    "header-value-beyond-ascii": ("200 OK", [("a", "\xff")]),
    "header-value-beyond-latin-1": ("200 OK", [("a", "\u20ac")]),
    "headers-of-none": ("200 OK", None),
    "length-no-number": ("200 OK", [("Content-Length", "abc")]),
    "status-too-small": ("99 Low", []),
    "status-informational": ("100 Continue", []),
    "status-of-wrong-type": (200, []),
    "status-without-number": ("OK", []),
    "too-long": ("200 OK", [("Content-Length", "2")]),
    "too-short": ("200 OK", [("Content-Length", "9")]),
    "huge-header": ("200 OK", [("a", "b" * 1_000_000)]),
    "many-headers": ("200 OK", [(f"a{n}", "b") for n in range(10_000)]),
}


def app(environ: Environ, start_response: Start) -> Any:
    name = environ["PATH_INFO"].removeprefix("/")
    stage, _, kind = name.partition(".")
    if kind:
        return raising(start_response, stage, kind)
    if name in HEADS:
        start_response(*HEADS[name])
        return [b"abc"]
    if name in RETURNED:
        start_response("200 OK", [])
        return RETURNED[name]()
    return OTHER[name](start_response)


def raising(start_response: Start, stage: str, kind: str) -> Iterable[bytes]:
    if stage == "when-called":
        raise exception(kind)
    if stage == "in-close":
        start_response("200 OK", [])
        return ClosesBadly(kind)
    return iterating(start_response, stage, kind)


def iterating(start_response: Start, stage: str, kind: str) -> Iterator[bytes]:
    if stage == "at-once":
        raise exception(kind)
    headers = [("Content-Length", "3")] if stage == "after-end" else []
    start_response("200 OK", headers)
    if stage != "after-start":
        yield b"abc"
    raise exception(kind)


class ClosesBadly:
    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"abc"])

    def close(self) -> None:
        raise exception(self._kind)


class IteratesBadly:
    def __iter__(self) -> Iterator[bytes]:
        raise LookupError("on purpose")


def fine(start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"abc"]


def nothing(start_response: Start) -> Iterable[bytes]:
    return []


def body_before_start(start_response: Start) -> Iterator[bytes]:
    yield b"abc"
    start_response("200 OK", [])


def start_only(start_response: Start) -> None:
    start_response("200 OK", [])


def start_twice(start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return [b"abc"]


def start_in_body(start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"abc"
    start_response("200 OK", [])


def in_pieces(length: str) -> Callable[[Start], Iterable[bytes]]:
    def pieces(start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", length)])
        yield b"abc"
        yield b"abc"

    return pieces


def writes_str(start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])("abc")
    return []


def writes_before_it_fails(start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])(b"abc")
    raise LookupError("on purpose")


def recurses(start_response: Start) -> Iterable[bytes]:
    recurse()
    return []


def ignores_contract_errors(start_response: Start) -> Iterable[bytes]:
    for status, headers in (HEADS["crlf-in-header"], HEADS["status-too-small"], ("200 OK", [])):
        try:
            start_response(status, headers)
        except RuntimeError:
            continue
    return [b"abc"]


def goes_on_without_client(start_response: Start) -> Iterable[bytes]:
    """Takes no notice of a client that left."""
    write, failed = start_response("200 OK", []), 0
    while failed < 100:
        try:
            write(b"x" * 65536)
        except OSError:
            failed += 1
    print("went on without client", flush=True)
    return []


async def coroutine() -> None:
    return None


def returned_coroutine() -> object:
    made = coroutine()
    made.close()
    return made


RETURNED: dict[str, Callable[[], object]] = {
    "returns-none": lambda: None,
    "returns-str": lambda: "abc",
    "returns-bytes": lambda: b"abc",
    "returns-number": lambda: 5,
    "returns-list": lambda: ["abc"],
    "returns-mixed-list": lambda: [b"abc", "abc"],
    "returns-list-of-none": lambda: [None],
    "returns-generator": returned_coroutine,
    "returns-broken-iterable": IteratesBadly,
    "body-of-str": lambda: iter(["abc"]),
    "body-of-str-in-body": lambda: iter([b"abc", "abc"]),
    "never-reads": lambda: [b"abc"],
}
OTHER: dict[str, Callable[[Start], Any]] = {
    "fine": fine,
    "nothing": nothing,
    "start-only": start_only,
    "body-before-start": body_before_start,
    "start-twice": start_twice,
    "start-in-body": start_in_body,
    "too-long-in-pieces": in_pieces("4"),
    "too-short-in-pieces": in_pieces("9"),
    "writes-str": writes_str,
    "writes-before-it-fails": writes_before_it_fails,
    "recurses": recurses,
    "ignores-contract-errors": ignores_contract_errors,
    "goes-on-without-client": goes_on_without_client,
}
