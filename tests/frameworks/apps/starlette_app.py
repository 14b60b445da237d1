"""Starlette: `bicorn starlette_app:app`."""

from content import Deliberate, blocks_async, describe
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route


async def index(request: Request) -> Response:
    return PlainTextResponse(f"Hello, {request.query_params.get('name', 'you')}!")


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return PlainTextResponse(f"{fields['name']} from {fields['city']}")


async def upload(request: Request) -> Response:
    async with request.form() as fields:
        file = fields["file"]
        assert isinstance(file, UploadFile)
        return PlainTextResponse(describe(file.filename or "", file.file))


async def download(request: Request) -> Response:
    return StreamingResponse(blocks_async(), media_type="application/octet-stream")


async def cookies(request: Request) -> Response:
    response = PlainTextResponse(request.cookies.get("given", "none"))
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


async def elsewhere(request: Request) -> Response:
    return RedirectResponse("/")


async def error(request: Request) -> Response:
    raise Deliberate("starlette")


app = Starlette(
    routes=[
        Route("/", index),
        Route("/form", form, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/download", download),
        Route("/cookies", cookies),
        Route("/redirect", elsewhere),
        Route("/error", error),
    ]
)
