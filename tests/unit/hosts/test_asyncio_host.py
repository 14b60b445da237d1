"""The asyncio host: what surrounds the requests, and the order in which things end."""

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bicorn.errors import AppStartupError, ConfigError
from bicorn.hosts import Job, asyncio_host, host_for
from bicorn.hosts.asyncio_host import loop_factory, serve
from tests.support.wire import Wire, request
from tests.unit.hosts.conftest import Client, run, stop

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


@pytest.fixture(params=["asyncio", "uvloop"])
def host(request: pytest.FixtureRequest) -> Callable[[Job], None]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    factory, name = loop_factory(request.param)
    assert name == request.param
    return lambda job: serve(job, factory)


async def answer(send: Send, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def only_http(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await answer(send, str(scope.get("state")).encode())


def ask(wire: Wire) -> None:
    assert wire.send(request()).answer().status == 200


def asks_for(body: bytes) -> Client:
    def client(wire: Wire) -> None:
        assert wire.send(request()).answer().body == body

    return client


def test_without_a_lifespan_there_is_no_state(host: Callable[[Job], None]) -> None:
    assert run(host, only_http, asks_for(b"None")) == ["serving", "draining", "stopping"]
    assert run(host, only_http, asks_for(b"None"), lifespan="off") == ["serving", "draining"]


def test_the_state_and_the_context_of_the_lifespan_are_those_of_the_requests(
    host: Callable[[Job], None],
) -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")
    order = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            order.append("request")
            await answer(send, f"{tenant.get()} {scope['state']}".encode())
            tenant.set("of this request alone")
            return
        await receive()
        tenant.set("acme")
        scope["state"]["pool"] = 1
        await send({"type": "lifespan.startup.complete"})
        await receive()
        order.append(f"shutdown of {tenant.get()}")
        await send({"type": "lifespan.shutdown.complete"})
        order.append("returned")

    def client(wire: Wire) -> None:
        for _ in range(2):
            assert wire.send(request()).answer().body == b"acme {'pool': 1}"

    assert run(host, app, client, lifespan="on") == ["serving", "draining", "stopping"]
    assert order == ["request", "request", "shutdown of acme", "returned"]


def test_a_failed_start_serves_nobody(host: Callable[[Job], None]) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(AppStartupError, match=r"^no database\n"):
        run(host, app)


def test_a_warm_up_that_is_not_answered_fails_the_start(host: Callable[[Job], None]) -> None:
    order = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await asyncio.Event().wait()
            finally:
                order.append("request cancelled")
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        order.append("lifespan shut down")
        await send({"type": "lifespan.shutdown.complete"})

    expected = r"^GET /health was not answered within 0\.05 s \(--warmup-path\)$"
    with pytest.raises(AppStartupError, match=expected):
        run(host, app, warmup_path="/health", startup_timeout=0.05)
    assert order == ["request cancelled", "lifespan shut down"]


def test_a_stop_while_the_application_is_warmed_up(host: Callable[[Job], None]) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        stop()
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"

    assert run(host, app, warmup_path="/health", lifespan="off") == []


def test_a_stop_while_the_application_starts(host: Callable[[Job], None]) -> None:
    ended = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        try:
            stop()
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    assert run(host, app) == ["stopping"]
    assert ended == ["cleaned up"]


def test_what_a_request_does_after_its_answer_is_finished(host: Callable[[Job], None]) -> None:
    done = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await answer(send)
        while (await receive())["type"] != "http.disconnect":
            pass
        # The connection is gone, and the worker told to stop.
        for _ in range(100):
            await asyncio.sleep(0)
        done.append("background task")

    run(host, app, ask, lifespan="off")
    assert done == ["background task"]


def test_the_time_to_drain_is_limited(
    host: Callable[[Job], None], log: pytest.LogCaptureFixture
) -> None:
    order = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            await answer(send)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            order.append("cancelled")
            raise
        finally:
            order.append("cleaned up")

    run(host, app, ask, lifespan="off", graceful_timeout=0.05)
    assert order == ["cancelled", "cleaned up"]
    assert log.messages == ["--graceful-timeout is over: ending 0 connections and 1 requests"]


def test_the_time_to_shut_down_is_limited(
    host: Callable[[Job], None],
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asyncio_host, "SHUTDOWN_GRACE", 0.05)

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.Event().wait()

    run(host, app, ask, graceful_timeout=0.01)
    assert log.messages == ["the application's lifespan did not shut down in time"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_task_that_wants_to_exit_ends_the_worker_and_not_the_requests(
    host: Callable[[Job], None], log: pytest.LogCaptureFixture, error: BaseException
) -> None:
    tasks = []

    async def leave() -> None:
        raise error

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            tasks.append(asyncio.create_task(leave()))
            for _ in range(10):
                await asyncio.sleep(0)
            await answer(send, b"answered all the same")
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    stages = run(host, app, asks_for(b"answered all the same"))
    assert stages == ["serving", "draining", "stopping"]
    (message,) = log.messages
    assert message.startswith(f"a task of the application raised {error!r}")


def test_what_the_application_leaves_in_the_loop_is_ended(host: Callable[[Job], None]) -> None:
    ended, tasks = [], set()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        tasks.add(asyncio.create_task(endless()))
        await asyncio.get_running_loop().run_in_executor(None, int)
        await answer(send)

    run(host, app, ask, lifespan="off")
    assert ended == ["cleaned up"]


def test_a_policy_of_the_applications_is_not_asked(host: Callable[[Job], None]) -> None:
    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            raise AssertionError("asked")

    asyncio.set_event_loop_policy(Policy())
    try:
        run(host, only_http, ask, lifespan="off")
    finally:
        asyncio.set_event_loop_policy(None)


def test_requests_are_named_tasks(host: Callable[[Job], None]) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        await answer(send, task.get_name().encode())

    run(host, app, asks_for(b"bicorn-request"), lifespan="off")


def test_which_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory("auto") == (asyncio.SelectorEventLoop, "asyncio")
    with pytest.raises(ConfigError, match="pip install uvloop, or use --loop asyncio"):
        loop_factory("uvloop")
    assert host_for("asgi", "asyncio")[1] == "asyncio"
    assert host_for("wsgi", "auto")[1] == ""
