"""A FastAPI application (ASGI): pip install fastapi, then

bicorn examples/fastapi_app.py
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    # What a real application opens here, a pool of database connections, it closes after the yield.
    yield {"greeting": "Hello from FastAPI"}


app = FastAPI(title="Bicorn example", lifespan=lifespan)


@app.get("/")
async def index(request: Request, name: str = "you") -> dict[str, str]:
    return {"message": f"{request.state.greeting}, {name}!"}


@app.get("/blocking")
def blocking(numbers: int = 10_000) -> dict[str, int]:
    """A plain function: FastAPI runs it in a thread, so the event loop goes on."""
    return {"sum": sum(range(numbers))}


@app.get("/countdown")
async def countdown(start: int = 5) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(start, 0, -1):
            yield f"{number}\n"
            await asyncio.sleep(0.5)
        yield "lift-off\n"

    return StreamingResponse(lines(), media_type="text/plain")
