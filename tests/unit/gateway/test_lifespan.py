"""The lifespan protocol, between applications that follow it, ones that do not know it, and ones that break it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from bicorn.errors import AppStartupError, ContractError
from bicorn.gateway.lifespan import Lifespan, Phase

Receive = Callable[[], Awaitable[dict[str, str]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

LOGGER = logging.getLogger("tests.lifespan")


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG, LOGGER.name):
        yield


async def live(
    app: App, *, is_required: bool = False, serving: Callable[[Lifespan], object] = lambda _: None
) -> Any:
    """A whole life; gives the state. ``serving`` is called between start-up and shutdown."""
    lifespan = Lifespan(app, is_required=is_required, logger=LOGGER, make_event=asyncio.Event)
    task = asyncio.create_task(lifespan.run())
    try:
        state = await lifespan.start_up()
        serving(lifespan)
        await asyncio.sleep(0)
        await lifespan.shut_down()
        return state
    finally:
        task.cancel()
        await asyncio.wait({task})


async def complete(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    assert await receive() == {"type": "lifespan.startup"}
    scope["state"]["pool"] = "open"
    await send({"type": "lifespan.startup.complete"})
    assert await receive() == {"type": "lifespan.shutdown"}
    scope["state"]["pool"] = "closed"
    await send({"type": "lifespan.shutdown.complete"})


def test_the_whole_protocol() -> None:
    states = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        await complete(scope, receive, send)

    state = asyncio.run(live(app, serving=lambda lifespan: states.append(lifespan.phase)))
    assert states == [Phase.STARTED]
    assert state == {"pool": "closed"}


def test_a_failed_start_carries_the_applications_words() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback\nno database\n"})
        raise RuntimeError("no database")

    with pytest.raises(AppStartupError) as caught:
        asyncio.run(live(app))
    above, _, line = str(caught.value).rpartition("\n")
    assert above == "Traceback\nno database"
    assert line == "the application failed to start, with the message above"


def test_a_failed_start_without_words() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed"})

    with pytest.raises(AppStartupError, match=r"^the application failed to start$"):
        asyncio.run(live(app))


async def knows_only_http(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    raise NotImplementedError(scope["type"])


async def returns(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    return None


@pytest.mark.parametrize(
    ("app", "reason"),
    [(knows_only_http, r"NotImplementedError: lifespan"), (returns, "it returned")],
)
def test_an_application_without_a_lifespan(
    app: App, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert asyncio.run(live(app)) is None
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == f"the application has no lifespan ({reason})"
    with pytest.raises(
        AppStartupError, match=rf"\({reason}\): correct it, or use --lifespan auto$"
    ):
        asyncio.run(live(app, is_required=True))


@pytest.mark.parametrize("error", [KeyError("DATABASE_URL"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_after_the_startup_message_is_shown(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        raise error

    assert asyncio.run(live(app)) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info
    assert record.exc_info[1] is error
    # Only the application's own frame.
    assert record.exc_info[2] is not None
    assert record.exc_info[2].tb_frame.f_code.co_name == "app"


def test_a_required_lifespan_that_raises_shows_its_traceback() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        raise KeyError("DATABASE_URL")

    with pytest.raises(AppStartupError) as caught:
        asyncio.run(live(app, is_required=True))
    above, _, line = str(caught.value).rpartition("\n")
    assert above.startswith("Traceback")
    assert above.endswith("KeyError: 'DATABASE_URL'")
    assert "lifespan.py" not in above.replace("test_lifespan.py", "")
    assert line.startswith("the application did not start its lifespan (KeyError: 'DATABASE_URL')")


@pytest.mark.parametrize(
    ("messages", "refused"),
    [
        (["lifespan.shutdown.complete"], "'lifespan.shutdown.complete' cannot be sent while"),
        (
            ["http.response.start"],
            "'http.response.start' cannot be sent while the lifespan is start",
        ),
        (["lifespan.startup.complete"] * 2, "cannot be sent while the lifespan is started"),
        (["lifespan.startup.complete", "lifespan.startup.failed"], "while the lifespan is started"),
    ],
)
def test_a_message_out_of_order(messages: list[str], refused: str) -> None:
    told = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        for kind in messages:
            try:
                await send({"type": kind})
            except ContractError as error:
                told.append(str(error))
                raise

    asyncio.run(live(app))
    assert len(told) == 1
    assert refused in told[0]


def test_a_failed_shutdown_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "still writing"})

    assert asyncio.run(live(app)) == {}
    assert [record.getMessage() for record in caplog.records] == [
        "the application failed to shut down\nstill writing"
    ]


@pytest.mark.parametrize("when", ["while it served", "at shutdown"])
def test_an_error_after_the_start_is_told(when: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        if when == "at shutdown":
            await receive()
        raise RuntimeError("oops")

    assert asyncio.run(live(app)) == {}
    (record,) = caplog.records
    assert record.getMessage() == f"the application's lifespan failed {when}"
    assert record.exc_info


def test_an_application_may_go_on_receiving() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})

    assert asyncio.run(live(app)) == {}


def test_a_start_that_is_not_wanted_any_more() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.Event().wait()

    async def abandoned() -> Any:
        lifespan = Lifespan(app, is_required=True, logger=LOGGER, make_event=asyncio.Event)
        task = asyncio.create_task(lifespan.run())
        asyncio.get_running_loop().call_soon(lifespan.abandon)
        state = await lifespan.start_up()
        await lifespan.shut_down()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        return state

    assert asyncio.run(abandoned()) is None
