"""The same small application twice, as `asgi` and as `wsgi`, for real clients to talk to.

GET  /            "Hello"; each answer says in X-Client-Port which connection it came over
*    /echo        the body, and the request's method and content type in X-Method and X-Type
GET  /stream      `BLOCKS` blocks of `BLOCK` bytes, without a length
GET  /gzip        "Hello", compressed for whom Accept-Encoding allows it
GET  /empty       204
PUT  /refuse      413, and the body is not read
"""

import gzip
from collections.abc import Iterable, Iterator
from typing import Any

BLOCK = bytes(range(256)) * 128
BLOCKS = 64

type_of = {"/echo": "application/octet-stream", "/stream": "application/octet-stream"}


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    fields = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["path"]
    accepted = fields.get("accept-encoding", "")
    bodies = [await read(receive)] if path == "/echo" else answer_to(path, accepted)
    headers = headers_of(path, scope["method"], fields, scope["client"][1])
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    if isinstance(bodies, list):
        pairs.append((b"content-length", b"%d" % len(bodies[0])))
    await send({"type": "http.response.start", "status": status_of(path), "headers": pairs})
    for body in bodies:
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})


async def read(receive: Any) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    fields = {
        "accept-encoding": environ.get("HTTP_ACCEPT_ENCODING", ""),
        "content-type": environ.get("CONTENT_TYPE", ""),
    }
    reason = {200: "OK", 204: "No Content", 413: "Content Too Large"}[status_of(path)]
    port = environ["REMOTE_PORT"]
    headers = headers_of(path, environ["REQUEST_METHOD"], fields, port)
    start_response(f"{status_of(path)} {reason}", headers)
    if path == "/echo":
        return [environ["wsgi.input"].read()]
    return answer_to(path, fields["accept-encoding"])


def answer_to(path: str, accept_encoding: str) -> Iterable[bytes]:
    if path == "/stream":
        return stream()
    if path == "/empty":
        return [b""]
    if path == "/gzip" and "gzip" in accept_encoding:
        return [gzip.compress(b"Hello")]
    return [b"Hello"]


def stream() -> Iterator[bytes]:
    for _ in range(BLOCKS):
        yield BLOCK


def status_of(path: str) -> int:
    return {"/empty": 204, "/refuse": 413}.get(path, 200)


def headers_of(
    path: str, method: str, fields: dict[str, str], port: object
) -> list[tuple[str, str]]:
    headers = [
        ("X-Client-Port", str(port)),
        ("X-Method", method),
        ("X-Type", fields.get("content-type", "")),
    ]
    if path != "/empty":
        headers.append(("Content-Type", type_of.get(path, "text/plain")))
    if path == "/gzip":
        headers.append(("Vary", "Accept-Encoding"))
        if "gzip" in fields.get("accept-encoding", ""):
            headers.append(("Content-Encoding", "gzip"))
    return headers
