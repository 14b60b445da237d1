"""Litestar: `bicorn litestar_app:app`."""

from dataclasses import dataclass
from typing import Annotated

from content import Deliberate, blocks_async, describe
from litestar import Litestar, MediaType, Request, Response, get, head, post
from litestar.datastructures import Cookie, State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.logging import LoggingConfig
from litestar.params import Body
from litestar.response import Redirect, Stream


@dataclass
class Person:
    name: str
    city: str


@dataclass
class Files:
    file: UploadFile


@get("/", media_type=MediaType.TEXT)
async def index(name: str = "you") -> str:
    return f"Hello, {name}!"


@head("/", media_type=MediaType.TEXT)
async def index_head() -> None:
    """Litestar makes no HEAD of a GET."""


@post("/form", media_type=MediaType.TEXT)
async def form(
    data: Annotated[Person, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> str:
    return f"{data.name} from {data.city}"


# Litestar refuses more than 10 MB with 413 unless it is told.
@post("/upload", media_type=MediaType.TEXT, request_max_body_size=64 * 1024 * 1024)
async def upload(
    data: Annotated[Files, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> str:
    return describe(data.file.filename, data.file.file)


@get("/download")
async def download() -> Stream:
    return Stream(blocks_async(), media_type="application/octet-stream")


@get("/cookies", media_type=MediaType.TEXT)
async def cookies(request: Request[None, None, State]) -> Response[str]:
    return Response(
        request.cookies.get("given", "none"),
        cookies=[Cookie("first", value="1"), Cookie("second", value="2")],
    )


@get("/redirect")
async def elsewhere() -> Redirect:
    return Redirect("/")


@get("/error")
async def error() -> None:
    raise Deliberate("litestar")


app = Litestar(
    [index, index_head, form, upload, download, cookies, elsewhere, error],
    # As it is, Litestar logs the traceback of a failed view only in debug mode.
    logging_config=LoggingConfig(log_exceptions="always"),
)
