"""The host of ASGI applications on asyncio, and on the loops that are made like it (uvloop).

The loop waits for the engine's one descriptor; each request is a task of the loop, started eagerly where
Python can.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
from typing import TYPE_CHECKING

from bicorn._native import AsgiGateway, Engine
from bicorn.errors import ConfigError
from bicorn.gateway.lifespan import Lifespan

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bicorn.hosts import Job

CANCEL_GRACE = 5.0
"""Seconds that tasks have to end after they were cancelled."""


def loop_factory(choice: str) -> tuple[Callable[[], asyncio.AbstractEventLoop], str]:
    """The maker of loops for ``--loop``, and the loop's name. Raises `ConfigError`."""
    if choice != "asyncio":
        try:
            import uvloop
        except ImportError:
            if choice == "uvloop":
                raise ConfigError(
                    "--loop uvloop needs uvloop: pip install uvloop, or use --loop asyncio"
                ) from None
        else:
            return uvloop.new_event_loop, "uvloop"
    return asyncio.SelectorEventLoop, "asyncio"


def serve(job: Job, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Serves until SIGTERM or SIGINT, and then until what is in flight is done.

    Raises `bicorn.errors.AppStartupError` when the application's lifespan refuses to start.
    """
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(job))


async def _serve(job: Job) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    lifespan = Lifespan(job.app, job.config.lifespan, job.logger)
    state = await lifespan.start_up()
    gateway = AsgiGateway(
        job.app,
        spawn=_spawner(loop),
        create_future=loop.create_future,
        call_soon=loop.call_soon,
        state=state,
        report=job.report,
    )
    engine = job.engine(gateway)
    try:
        loop.add_reader(engine.fileno(), engine.poll)
        job.ready()
        await stopping.wait()
        await _drain(engine, job)
    finally:
        loop.remove_reader(engine.fileno())
        engine.close()
        await _end_requests()
        await lifespan.shut_down(job.config.graceful_timeout)


def _spawner(
    loop: asyncio.AbstractEventLoop,
) -> Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]:
    """Makes a task of a request's coroutine. A name of its own would cost a string for each request."""
    if sys.version_info >= (3, 12):
        return functools.partial(asyncio.Task, loop=loop, name=REQUEST, eager_start=True)
    return functools.partial(asyncio.Task, loop=loop, name=REQUEST)


REQUEST = "bicorn-request"


async def _drain(engine: Engine, job: Job) -> None:
    drained = asyncio.Event()
    engine.drain(drained.set)
    try:
        await asyncio.wait_for(drained.wait(), job.config.graceful_timeout)
    except TimeoutError:
        job.logger.warning("%d connections did not end in time", engine.connections)


async def _end_requests() -> None:
    """Cancels the requests that are still being answered, though nobody waits for the answer."""
    requests = {task for task in asyncio.all_tasks() if task.get_name() == REQUEST}
    for task in requests:
        task.cancel()
    if requests:
        await asyncio.wait(requests, timeout=CANCEL_GRACE)
