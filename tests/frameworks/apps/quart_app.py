"""Quart: `bicorn quart_app:app`."""

from content import Deliberate, blocks_async, describe
from quart import Quart, Response, make_response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

app = Quart(__name__)
# Quart refuses more than 16 MiB with 413 unless it is told.
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024 * 1024


@app.get("/")
async def index() -> str:
    return f"Hello, {request.args.get('name', 'you')}!"


@app.post("/form")
async def form() -> str:
    fields = await request.form
    return f"{fields['name']} from {fields['city']}"


@app.post("/upload")
async def upload() -> str:
    file = (await request.files)["file"]
    return describe(file.filename or "", file.stream)


@app.get("/download")
async def download() -> Response:
    return Response(blocks_async(), mimetype="application/octet-stream")


@app.get("/cookies")
async def cookies() -> Response | BaseResponse:
    response = await make_response(request.cookies.get("given", "none"))
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@app.get("/redirect")
async def elsewhere() -> BaseResponse:
    return redirect("/")


@app.get("/error")
async def error() -> str:
    raise Deliberate("quart")
