"""The host of ASGI applications on asyncio, and on the loops that are made like it (uvloop).

The loop waits for the engine's one descriptor; each request is a task of the loop, started eagerly where
Python can. Owns the loop from its making to its closing, and the order in which things end: the connections,
the requests, the application's lifespan, whatever else runs in the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import signal
import sys
from typing import TYPE_CHECKING

from bicorn._native import AsgiGateway, Engine
from bicorn.errors import ConfigError
from bicorn.gateway.lifespan import Lifespan, Phase
from bicorn.hosts.warmup import WarmUp
from bicorn.log.report import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, MutableMapping
    from typing import Any

    from bicorn.hosts import Job

REQUEST = "bicorn-request"
"""The name of every request's task; one of its own would cost a string for each request."""
CANCEL_GRACE = 1.0
"""Seconds that tasks have to clean up after they were cancelled."""
SHUTDOWN_GRACE = 5.0
"""Seconds that the lifespan has at least to shut down, when draining has used up ``graceful_timeout``."""

_STOP = (signal.SIGTERM, signal.SIGINT)
_REOPEN = signal.SIGUSR1
_SIGNALS = (*_STOP, _REOPEN)


def loop_factory(choice: str) -> tuple[Callable[[], asyncio.AbstractEventLoop], str]:
    """The maker of loops for ``--loop``, and the loop's name. Raises `ConfigError`.

    The event loop policy is not asked: an application may have set one of its own.
    """
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
    """Serves until SIGTERM, and then until what is in flight is done; SIGINT waits for nothing.

    Raises `bicorn.errors.AppStartupError` when the application's lifespan refuses to start, or the application to
    answer the warm-up request.
    """
    former = {number: signal.getsignal(number) for number in _SIGNALS}
    loop = factory()
    try:
        asyncio.set_event_loop(loop)
        _AsyncioHost(job, loop).run()
    finally:
        _end_what_is_left(loop)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for number, handler in former.items():
            # Not left to the loop: asyncio closes the pipe of its handlers before it removes them, uvloop leaves
            # them behind.
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        asyncio.set_event_loop(None)
        loop.close()


class _AsyncioHost:
    """One loop that serves one application."""

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self._job = job
        self._loop = loop
        # The lifespan shares it, so that variables which it sets at start-up are seen by every request.
        self._context = contextvars.copy_context()
        self._stopping = asyncio.Event()
        self._deadline = 0.0
        self._engine: Engine | None = None
        self._lifespan = self._make_lifespan()

    def run(self) -> None:
        grace = self._job.config.graceful_timeout
        self._loop.add_signal_handler(signal.SIGTERM, self._stop, grace)
        self._loop.add_signal_handler(signal.SIGINT, self._stop, 0.0)
        self._loop.add_signal_handler(_REOPEN, self._reopen_log)
        main = self._task(self._live(), "bicorn")
        while not main.done():
            try:
                self._loop.run_until_complete(main)
            except (SystemExit, KeyboardInterrupt) as error:
                # Of a task that the application has made: it ends the loop, which goes on for the others.
                self._job.logger.error(
                    "a task of the application raised %r: ending this worker",
                    error,
                    exc_info=(type(error), error, cut(error.__traceback__)),
                )
                self._stop(grace)

    def _stop(self, grace: float) -> None:
        if not self._stopping.is_set():
            self._deadline = self._loop.time() + grace
            self._stopping.set()
            if self._lifespan is not None:
                self._lifespan.abandon()

    def _reopen_log(self) -> None:
        if self._engine is not None:
            self._job.reopen_log(self._engine)

    async def _live(self) -> None:
        """Start-up, requests, shutdown."""
        if self._lifespan is None:
            await self._serve(None)
            return
        life = self._task(self._lifespan.run(), "bicorn-lifespan")
        try:
            state = await self._lifespan.start_up()
            try:
                if not self._stopping.is_set():
                    await self._serve(state)
            finally:
                await self._shut_down(self._lifespan, life)
        finally:
            await _cancel({life})

    async def _serve(self, state: MutableMapping[str, Any] | None) -> None:
        loop = self._loop
        gateway = AsgiGateway(
            self._job.app,
            spawn=_spawner(loop),
            create_future=loop.create_future,
            call_soon=loop.call_soon,
            state=state,
            report=self._job.report,
        )
        engine = self._engine = self._job.engine(gateway)
        try:
            loop.add_reader(engine.fileno(), engine.poll)
            await self._warm_up(engine)
            if not self._stopping.is_set():
                self._job.listen(engine)
                self._job.worker.note_serving()
                await self._stopping.wait()
                self._job.worker.note_draining()
                await self._drain(engine)
        finally:
            loop.remove_reader(engine.fileno())
            self._engine = None
            engine.close()
            # Nobody waits for their answers any more.
            await _cancel(_requests())

    async def _warm_up(self, engine: Engine) -> None:
        """Raises `bicorn.errors.AppStartupError` when the application does not answer as it should."""
        if not self._job.config.warmup_path:
            return
        over = asyncio.Event()
        warm_up = WarmUp(
            self._job.config, engine, lambda: self._loop.call_soon_threadsafe(over.set)
        )
        await _one_of(over, self._stopping)
        if self._stopping.is_set():
            warm_up.abandon()
        else:
            warm_up.judge()

    async def _drain(self, engine: Engine) -> None:
        """Waits for the connections, and for what requests go on doing after they were answered."""
        drained = asyncio.Event()
        engine.drain(drained.set)
        if self._deadline <= self._loop.time():
            return
        try:
            async with asyncio.timeout_at(self._deadline):
                await drained.wait()
                while requests := _requests():
                    await asyncio.wait(requests)
        except TimeoutError:
            self._job.logger.warning(
                "--graceful-timeout is over: ending %d connections and %d requests",
                engine.connections,
                len(_requests()),
            )

    async def _shut_down(self, lifespan: Lifespan, life: asyncio.Task[None]) -> None:
        self._job.worker.note_stopping()
        limit = max(self._deadline, self._loop.time() + SHUTDOWN_GRACE)
        try:
            async with asyncio.timeout_at(limit):
                await lifespan.shut_down()
        except TimeoutError:
            self._job.logger.error("the application's lifespan did not shut down in time")
        if lifespan.phase is Phase.STOPPED:
            # It has answered, and is about to return.
            await asyncio.wait({life}, timeout=CANCEL_GRACE)

    def _make_lifespan(self) -> Lifespan | None:
        mode = self._job.config.lifespan
        if mode == "off":
            return None
        return Lifespan(
            self._job.app,
            is_required=mode == "on",
            logger=self._job.logger,
            make_event=asyncio.Event,
        )

    def _task(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.Task(coroutine, loop=self._loop, name=name, context=self._context)


def _spawner(
    loop: asyncio.AbstractEventLoop,
) -> Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]:
    if sys.version_info >= (3, 12):
        return functools.partial(asyncio.Task, loop=loop, name=REQUEST, eager_start=True)
    return functools.partial(asyncio.Task, loop=loop, name=REQUEST)


def _requests() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task.get_name() == REQUEST}


async def _one_of(*events: asyncio.Event) -> None:
    """Waits until the first of them comes."""
    waits = {asyncio.ensure_future(event.wait()) for event in events}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await _cancel(waits)


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels them, and gives them the time to clean up."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_GRACE)


def _end_what_is_left(loop: asyncio.AbstractEventLoop) -> None:
    """By the application, as `asyncio.run` does."""
    loop.run_until_complete(_cancel(asyncio.all_tasks(loop)))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
