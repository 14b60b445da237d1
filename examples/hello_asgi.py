"""An ASGI application without a framework: a page, a streamed answer, an echo, and lifespan state.

bicorn examples/hello_asgi.py

curl http://127.0.0.1:8000/
curl --no-buffer http://127.0.0.1:8000/stream
curl --data-binary 'Hello!' http://127.0.0.1:8000/echo
"""

import asyncio
import time
from html import escape

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Bicorn</title>
<h1>It works</h1>
<p>Serving since {since}. Go on with:
<pre>
curl --no-buffer {root}/stream
curl --data-binary 'Hello!' {root}/echo
</pre>
</html>
"""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    routes = {("GET", "/"): page, ("GET", "/stream"): stream, ("POST", "/echo"): echo}
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    await routes.get((method, scope["path"]), not_found)(scope, receive, send)


async def lifespan(scope, receive, send):
    await receive()
    # Each request gets a copy of this state.
    scope["state"]["since"] = time.strftime("%H:%M:%S")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def page(scope, receive, send):
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"127.0.0.1:8000").decode("latin-1")
    # No state where the server was told --lifespan off.
    since = scope.get("state", {}).get("since", "a moment ago")
    body = PAGE.format(since=since, root=f"{scope['scheme']}://{escape(host)}").encode()
    await start(send, 200, b"text/html; charset=utf-8", [(b"content-length", b"%d" % len(body))])
    await send({"type": "http.response.body", "body": body})


async def stream(scope, receive, send):
    await start(send, 200, b"text/plain; charset=utf-8")
    for number in range(1, 11):
        line = f"line {number} of 10\n".encode()
        await send({"type": "http.response.body", "body": line, "more_body": True})
        await asyncio.sleep(0.2)
    await send({"type": "http.response.body"})


async def echo(scope, receive, send):
    """Sends each piece of the body back as it comes; a body of any size needs no memory."""
    content_type = dict(scope["headers"]).get(b"content-type", b"application/octet-stream")
    await start(send, 200, content_type)
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
        body = message.get("body", b"")
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def not_found(scope, receive, send):
    body = b"Nothing here: try / or /stream, or POST to /echo\n"
    length = [(b"content-length", b"%d" % len(body))]
    await start(send, 404, b"text/plain; charset=utf-8", length)
    await send({"type": "http.response.body", "body": body})


async def start(send, status, content_type, headers=()):
    headers = [(b"content-type", content_type), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
