"""A WSGI application without a framework: a page, a streamed answer and an echo.

bicorn examples/hello_wsgi.py

curl http://127.0.0.1:8000/
curl --no-buffer http://127.0.0.1:8000/stream
curl --data-binary 'Hello!' http://127.0.0.1:8000/echo
"""

import time
from wsgiref.util import request_uri


def app(environ, start_response):
    routes = {("GET", "/"): page, ("GET", "/stream"): stream, ("POST", "/echo"): echo}
    method = "GET" if environ["REQUEST_METHOD"] == "HEAD" else environ["REQUEST_METHOD"]
    return routes.get((method, environ["PATH_INFO"]), not_found)(environ, start_response)


def page(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"It works: this is {request_uri(environ)}\n".encode()]


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    for number in range(1, 11):
        yield f"line {number} of 10\n".encode()
        time.sleep(0.2)


def echo(environ, start_response):
    content_type = environ.get("CONTENT_TYPE") or "application/octet-stream"
    start_response("200 OK", [("Content-Type", content_type)])
    return iter(lambda: environ["wsgi.input"].read(64 * 1024), b"")


def not_found(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"Nothing here: try / or /stream, or POST to /echo\n"]
