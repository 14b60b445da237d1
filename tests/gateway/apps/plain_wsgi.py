"""A WSGI application with one path for each thing that a test of HTTP itself asks for."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]

BLOCK = bytes(range(256)) * 256


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return ROUTES.get(environ["PATH_INFO"], hello)(environ, start_response)


def hello(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def echo(environ: Environ, start_response: Start) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body]


def count(environ: Environ, start_response: Start) -> Iterable[bytes]:
    length = 0
    while block := environ["wsgi.input"].read(65536):
        length += len(block)
    start_response("200 OK", [])
    return [str(length).encode()]


def ignore(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"ignored"]


def request(environ: Environ, start_response: Start) -> Iterable[bytes]:
    names = {key: key.removeprefix("HTTP_").lower().replace("_", "-") for key in environ}
    facts = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "version": environ["SERVER_PROTOCOL"].removeprefix("HTTP/"),
        "headers": [
            [names[key], value] for key, value in environ.items() if key.startswith("HTTP_")
        ],
    }
    start_response("200 OK", [])
    return [json.dumps(facts).encode()]


def status(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response(f"{environ['QUERY_STRING']} Status", [])
    return [b"not for the wire"]


def closing(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Connection", "close")])
    return [b"bye"]


def stream(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"one"
    yield b"two"


def large(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [])
    for _ in range(int(environ["QUERY_STRING"])):
        yield BLOCK


def endless(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [])
    count = 0
    try:
        while True:
            yield BLOCK
            count += 1
    finally:
        print(f"produced {count * len(BLOCK) >> 20} MiB", flush=True)


def own_fields(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Date", "yesterday"), ("Server", "mine")])
    return [b"own"]


ROUTES: dict[str, Callable[[Environ, Start], Iterable[bytes]]] = {
    "/echo": echo,
    "/count": count,
    "/ignore": ignore,
    "/request": request,
    "/status": status,
    "/closing": closing,
    "/stream": stream,
    "/large": large,
    "/endless": endless,
    "/own-fields": own_fields,
}
