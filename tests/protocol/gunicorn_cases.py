"""Gunicorn's request files: the bytes, and what its own suite expects of them.

Owns how the two files of a case are read. The expectation is Python, and is never run: the few kinds of
expression that it is made of are evaluated one by one, and anything else is an error.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Expected:
    """A request as Gunicorn parses it, with its field names in lower case."""

    method: str
    path: str
    query: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Case:
    """One file; ``expected`` is empty where it must be refused."""

    name: str
    data: bytes
    expected: list[Expected]
    settings: dict[str, Any]


def cases(requests: Path) -> Iterator[Case]:
    """All cases below ``tests/requests`` of the source distribution."""
    for file in sorted(requests.glob("*valid/*.http")):
        name = f"{file.parent.name}/{file.stem}"
        request, settings = _evaluate(file.with_suffix(".py"))
        listed = request if isinstance(request, list) else [request]
        expected = [_expected(entry) for entry in listed] if file.parent.name == "valid" else []
        yield Case(name, _decode(file.read_bytes()), expected, settings)


def with_host(data: bytes) -> bytes:
    """Gives each HTTP/1.1 request that has no Host one, so that what else is in it gets judged."""

    def complete(head: re.Match[bytes]) -> bytes:
        has_host = re.search(rb"^host[ \t]*:", head[2], re.I | re.M)
        return head[0] if has_host else head[1] + HOST_LINE + head[2]

    # What follows may be the body of the first request, which must not change its length.
    head = data.partition(b"\r\n\r\n")[0]
    if b" HTTP/1.0\r\n" in head and b"\r\nContent-Length" in head:
        return data
    return re.sub(rb"([^\r\n]+ HTTP/1\.1\r\n)((?:[^\r\n]+\r\n)*)", complete, data)


HOST = ("host", "added-by-the-test")
HOST_LINE = b"Host: added-by-the-test\r\n"


def _decode(text: bytes) -> bytes:
    """Line breaks are for the reader; those on the wire are written as escapes."""
    escapes = {b"\\r": b"\r", b"\\n": b"\n", b"\\0": b"\0", b"\\t": b"\t"}
    text = text.replace(b"\n", b"")
    return re.sub(
        rb"\\(?:[rn0t]|x([0-9a-fA-F]{2}))",
        lambda found: bytes([int(found[1], 16)]) if found[1] else escapes[found[0]],
        text,
    )


def _expected(entry: dict[str, Any]) -> Expected:
    # The scheme and the authority of an absolute form are no part of the path.
    target = re.sub(r"^https?://[^/?]*", "", entry["uri"]).partition("#")[0]
    path, _, query = target.partition("?")
    major, minor = entry["version"]
    headers = [(name.lower(), value) for name, value in entry["headers"]]
    body = entry["body"] or b""
    return Expected(entry["method"], path, query, f"{major}.{minor}", headers, body)


def _evaluate(file: Path) -> tuple[Any, dict[str, Any]]:
    """The value of ``request`` at the end of the file, and the settings that it makes."""
    names: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for statement in ast.parse(file.read_text("utf-8")).body:
        match statement:
            case ast.ImportFrom(names=aliases):
                names.update({alias.name: alias.name for alias in aliases})
            case ast.Assign(targets=[ast.Name("cfg")]):
                pass
            case ast.Assign(targets=[ast.Name(name)], value=value):
                names[name] = _value(value, names)
            case ast.Expr(ast.Call(ast.Attribute(ast.Name("cfg"), "set"), [key, value])):
                settings[_value(key, names)] = _value(value, names)
            case _:
                raise ValueError(f"{file}: {ast.unparse(statement)}")
    return names["request"], settings


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return names[name]
        case ast.List(entries):
            return [_value(entry, names) for entry in entries]
        case ast.Tuple(entries):
            return tuple(_value(entry, names) for entry in entries)
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return {_value(key, names): _value(value, names) for key, value in pairs if key}
        case ast.Call(ast.Name("uri"), [argument]):
            return _value(argument, names)
        case ast.Call(ast.Attribute(text, "replace" | "encode" | "decode" as method), arguments):
            values = [_value(argument, names) for argument in arguments]
            return getattr(_value(text, names), method)(*values)
        case _:
            raise ValueError(ast.unparse(node))
