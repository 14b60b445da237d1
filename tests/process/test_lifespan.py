"""The lifespan protocol in a real worker: state, context, failures, and a start or an end that hangs."""

import signal
from pathlib import Path

import pytest

from tests.process.conftest import Start
from tests.support.server import Server
from tests.support.wire import Wire, request

LIFE = """
import asyncio, os, sys
from contextlib import AsyncExitStack

def told(what):
    os.write(2, f"app {what}\\n".encode())

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": await answer(scope)})

async def answer(scope):
    return b"up"

async def live(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    await start(scope)
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    await end(scope, send)

async def start(scope):
    told("starts")

async def end(scope, send):
    told("ends")
    await send({"type": "lifespan.shutdown.complete"})
"""

STATE = """
async def start(scope):
    scope["state"]["count"] = [0]
    scope["state"]["name"] = "original"

async def answer(scope):
    scope["state"]["count"][0] += 1
    seen = scope["state"]["name"], scope["state"]["count"][0]
    # A shallow copy: what is put into it is this request's alone.
    scope["state"]["name"] = "changed"
    return repr(seen).encode()
"""

TASK_GROUP = """
import anyio

async def live(scope, receive, send):
    await receive()
    async with anyio.create_task_group() as group:
        scope["state"]["group"] = group
        await send({"type": "lifespan.startup.complete"})
        await receive()
        group.cancel_scope.cancel()
    told("group has ended")
    await send({"type": "lifespan.shutdown.complete"})

async def answer(scope):
    done = anyio.Event()
    async def work():
        done.set()
        await anyio.sleep_forever()
    scope["state"]["group"].start_soon(work)
    await done.wait()
    return b"from the group"
"""

CONTEXT = """
import contextvars

variable = contextvars.ContextVar("variable", default="unset")

async def start(scope):
    variable.set("set at start-up")

async def end(scope, send):
    told(f"sees what was {variable.get()}")
    await send({"type": "lifespan.shutdown.complete"})

async def answer(scope):
    return variable.get().encode()
"""

HANGING_START = """
async def start(scope):
    told("starts")
    try:
        await asyncio.Event().wait()
    finally:
        told("is cancelled")
"""

HANGING_END = """
async def end(scope, send):
    told("ends")
    await asyncio.Event().wait()
"""

FAILING_END = """
async def end(scope, send):
    await send({"type": "lifespan.shutdown.failed", "message": "cannot say goodbye"})
"""

RAISING_START = """
async def start(scope):
    raise ConnectionError("no database")
"""

RAISING_END = """
async def end(scope, send):
    raise ConnectionError("no database")
"""


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return f"--loop={request.param}"


def living(start: Start, directory: Path, variant: str, *arguments: str) -> Server:
    (directory / "life.py").write_text(LIFE + variant)
    return start("life:app", "-b", "127.0.0.1:0", *arguments, cwd=directory)


def bodies(server: Server, count: int) -> list[bytes]:
    with Wire(server.wait_until_ready().address) as wire:
        return [wire.send(request()).answer().body for _ in range(count)]


def test_state_is_copied_for_each_request(start: Start, tmp_path: Path, loop: str) -> None:
    server = living(start, tmp_path, STATE, loop)
    assert bodies(server, 2) == [b"('original', 1)", b"('original', 2)"]
    assert server.stop() == 0


def test_shutdown_comes_after_the_last_request(start: Start, tmp_path: Path, loop: str) -> None:
    server = living(start, tmp_path, "", loop)
    assert bodies(server, 1) == [b"up"]
    assert server.stop() == 0
    assert server.log.count("app starts") == server.log.count("app ends") == 1


def test_a_task_group_lives_from_start_to_end(start: Start, tmp_path: Path, loop: str) -> None:
    server = living(start, tmp_path, TASK_GROUP, loop)
    assert bodies(server, 2) == [b"from the group"] * 2
    assert server.stop() == 0
    assert "app group has ended" in server.log
    assert "Traceback" not in server.log, server.log


def test_context_of_the_start_is_there_at_the_end(start: Start, tmp_path: Path, loop: str) -> None:
    server = living(start, tmp_path, CONTEXT, loop)
    assert bodies(server, 1) == [b"set at start-up"]
    assert server.stop() == 0
    assert "app sees what was set at start-up" in server.log


def test_a_lifespan_that_is_off_is_not_started(start: Start, tmp_path: Path) -> None:
    server = living(start, tmp_path, "", "--lifespan=off")
    assert bodies(server, 1) == [b"up"]
    assert server.stop() == 0
    assert "app starts" not in server.log
    assert "app ends" not in server.log


def test_a_start_that_raises_goes_on_without_a_lifespan(start: Start, tmp_path: Path) -> None:
    server = living(start, tmp_path, RAISING_START)
    assert bodies(server, 1) == [b"up"]
    assert server.stop() == 0
    assert server.log.count("ConnectionError: no database") == 1
    assert "--lifespan on" in server.log


def test_a_start_that_raises_fails_where_a_lifespan_is_required(
    start: Start, tmp_path: Path
) -> None:
    server = living(start, tmp_path, RAISING_START, "--lifespan=on")
    assert server.wait() == 5
    assert server.log.count("Traceback") == 1
    assert "bicorn: the application did not start its lifespan (ConnectionError" in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_hangs_is_cancelled(
    start: Start, tmp_path: Path, loop: str, number: signal.Signals
) -> None:
    server = living(start, tmp_path, HANGING_START, loop)
    server.wait_for_log("app starts")
    server.signal(number)
    assert server.wait() == 0
    assert "app is cancelled" in server.log
    assert "Traceback" not in server.log, server.log
    assert "curl" not in server.log


def test_an_end_that_fails_is_told(start: Start, tmp_path: Path) -> None:
    server = living(start, tmp_path, FAILING_END)
    assert bodies(server, 1) == [b"up"]
    assert server.stop() == 0
    assert server.log.count("cannot say goodbye") == 1


def test_an_end_that_raises_is_told(start: Start, tmp_path: Path) -> None:
    server = living(start, tmp_path, RAISING_END)
    assert bodies(server, 1) == [b"up"]
    assert server.stop() == 0
    assert server.log.count("ConnectionError: no database") == 1
    assert "/bicorn/" not in server.log


def test_an_end_that_hangs_is_given_up(start: Start, tmp_path: Path) -> None:
    server = living(start, tmp_path, HANGING_END, "--graceful-timeout=100ms")
    assert bodies(server, 1) == [b"up"]
    assert server.stop() == 0
    assert "did not shut down in time" in server.log
