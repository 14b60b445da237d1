"""Bottle: `bicorn bottle_app:app`."""

from collections.abc import Iterator

from bottle import Bottle, redirect, request, response
from content import Deliberate, blocks, describe

app = Bottle()


@app.get("/")
def index() -> str:
    return f"Hello, {request.query.getunicode('name', 'you')}!"


@app.post("/form")
def form() -> str:
    return f"{request.forms.getunicode('name')} from {request.forms.getunicode('city')}"


@app.post("/upload")
def upload() -> str:
    file = request.files["file"]
    return describe(file.raw_filename, file.file)


@app.get("/download")
def download() -> Iterator[bytes]:
    response.content_type = "application/octet-stream"
    return blocks()


@app.get("/cookies")
def cookies() -> str:
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return request.get_cookie("given", "none")


@app.get("/redirect")
def elsewhere() -> None:
    redirect("/")


@app.get("/error")
def error() -> str:
    raise Deliberate("bottle")
