"""An echo as `asgi` and as `wsgi`: the body, read to its end, and the method in X-Method."""

from collections.abc import Iterable
from typing import Any

# Of no length that is known before: the answer is chunked.
HEADERS = [("Content-Type", "application/octet-stream")]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    pairs = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
    pairs.append((b"x-method", scope["method"].encode()))
    await send({"type": "http.response.start", "status": 200, "headers": pairs})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [*HEADERS, ("X-Method", environ["REQUEST_METHOD"])])
    return [body[:1], body[1:]]
