"""FastAPI: `bicorn fastapi_app:app`. Some views are coroutines; /upload runs in a thread."""

from typing import Annotated

from content import Deliberate, blocks, describe
from fastapi import Cookie, FastAPI, Form, UploadFile
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse

app = FastAPI()


# FastAPI, unlike Starlette, gives HEAD only to routes that ask for it.
@app.api_route("/", methods=["GET", "HEAD"], response_class=PlainTextResponse)
async def index(name: str = "you") -> str:
    return f"Hello, {name}!"


@app.post("/form", response_class=PlainTextResponse)
async def form(name: Annotated[str, Form()], city: Annotated[str, Form()]) -> str:
    return f"{name} from {city}"


@app.post("/upload", response_class=PlainTextResponse)
def upload(file: UploadFile) -> str:
    return describe(file.filename or "", file.file)


@app.get("/download")
async def download() -> StreamingResponse:
    return StreamingResponse(blocks(), media_type="application/octet-stream")


@app.get("/cookies")
async def cookies(given: Annotated[str, Cookie()] = "none") -> PlainTextResponse:
    response = PlainTextResponse(given)
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@app.get("/redirect")
async def elsewhere() -> RedirectResponse:
    return RedirectResponse("/")


@app.get("/error")
async def error() -> str:
    raise Deliberate("fastapi")
