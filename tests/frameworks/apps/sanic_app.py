"""Sanic: `bicorn sanic_app:app`."""

from io import BytesIO

from content import Deliberate, blocks, describe
from sanic import Request, Sanic
from sanic.response import HTTPResponse, redirect, text

app = Sanic("bicorn_test")


@app.get("/")
async def index(request: Request) -> HTTPResponse:
    return text(f"Hello, {request.args.get('name', 'you')}!")


@app.head("/")
async def index_head(request: Request) -> HTTPResponse:
    return await index(request)


@app.post("/form")
async def form(request: Request) -> HTTPResponse:
    return text(f"{request.form.get('name')} from {request.form.get('city')}")


@app.post("/upload")
async def upload(request: Request) -> HTTPResponse:
    file = request.files.get("file")
    return text(describe(file.name, BytesIO(file.body)))


@app.get("/download")
async def download(request: Request) -> None:
    response = await request.respond(content_type="application/octet-stream")
    for block in blocks():
        await response.send(block)
    await response.eof()


@app.get("/cookies")
async def cookies(request: Request) -> HTTPResponse:
    response = text(request.cookies.get("given", "none"))
    response.add_cookie("first", "1", secure=False)
    response.add_cookie("second", "2", secure=False)
    return response


@app.get("/redirect")
async def elsewhere(request: Request) -> HTTPResponse:
    return redirect("/")


@app.get("/error")
async def error(request: Request) -> HTTPResponse:
    raise Deliberate("sanic")
