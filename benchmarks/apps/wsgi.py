"""The WSGI application of the works hello, browser, echo1k, big and stream. Knows no server."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

HELLO = b"Hello, World!"
BIG = b"x" * 100_000
BLOCK = b"x" * 500
BLOCKS = 20


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    return ROUTES[environ["PATH_INFO"]](environ, start_response)


def hello(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]


def echo(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def big(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "100000")])
    return [BIG]


def stream(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _blocks()


def _blocks() -> Iterator[bytes]:
    for _ in range(BLOCKS):
        yield BLOCK


ROUTES = {"/": hello, "/echo": echo, "/big": big, "/stream": stream}
