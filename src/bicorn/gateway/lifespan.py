"""The lifespan protocol: an application's start-up and shutdown (asgiref, "Lifespan Protocol" 2.0).

Runs in a task of its own for the whole life of the worker, so that context and task groups that an
application opens at start-up are still its own at shutdown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bicorn.errors import AppStartupError
from bicorn.log.report import cut

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    App = Callable[..., Awaitable[None]]


class Lifespan:
    """One application's lifespan. ``mode`` is auto (an application may do without), on or off."""

    def __init__(self, app: App, mode: str, logger: logging.Logger) -> None:
        self._app = app
        self._mode = mode
        self._logger = logger
        self._messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._state: dict[str, Any] = {}

    async def start_up(self) -> MutableMapping[str, Any] | None:
        """Starts the application. Gives the state to copy into each scope, or None without a lifespan.

        Raises `AppStartupError` when the application says that it cannot start, or has no lifespan where one
        is asked for.
        """
        if self._mode == "off":
            return None
        self._messages.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run(), name="bicorn-lifespan")
        await asyncio.wait({self._task, self._started}, return_when=asyncio.FIRST_COMPLETED)
        if self._started.done():
            self._started.result()
            return self._state
        self._do_without(self._task)
        return None

    async def shut_down(self, timeout: float) -> None:
        """Tells the application to shut down, and waits for up to ``timeout`` seconds."""
        if self._task is None or not self._started.done() or self._started.exception():
            return
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        done, _ = await asyncio.wait(
            {self._task, self._stopped}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            self._logger.error("the application's lifespan did not shut down within %g s", timeout)
        elif self._stopped.done() and (error := self._stopped.exception()):
            self._logger.error("%s", error)
        await self._end_task(self._task)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        await self._app(scope, self._messages.get, self._send)

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        kind, text = message["type"], message.get("message", "")
        if kind == "lifespan.startup.complete":
            _settle(self._started)
        elif kind == "lifespan.startup.failed":
            reason = text or "it gave no reason: see its own log"
            _settle(self._started, AppStartupError(f"the application failed to start: {reason}"))
        elif kind == "lifespan.shutdown.complete":
            _settle(self._stopped)
        elif kind == "lifespan.shutdown.failed":
            _settle(self._stopped, AppStartupError(f"the application failed to shut down: {text}"))
        else:
            raise ValueError(f"unexpected message type {kind!r} in a lifespan scope")

    def _do_without(self, task: asyncio.Task[None]) -> None:
        """The application returned or raised before it had started."""
        error = None if task.cancelled() else task.exception()
        if self._mode == "on":
            reason = f"{type(error).__name__}: {error}" if error else "it returned"
            raise AppStartupError(
                f"the application has no lifespan ({reason}): fix it, or use --lifespan auto"
            ) from error
        if error is not None:
            trace = cut(error.__traceback__)
            self._logger.debug(
                "the application has no lifespan", exc_info=(type(error), error, trace)
            )
            if not _means_unsupported(error):
                self._logger.info(
                    "the application raised %s in its lifespan and is served without: "
                    "--lifespan on makes that an error",
                    type(error).__name__,
                )

    async def _end_task(self, task: asyncio.Task[None]) -> None:
        """Lets the application return from its last message; what it raises then is told."""
        await asyncio.wait({task}, timeout=1.0)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
        elif not task.cancelled() and (error := task.exception()) is not None:
            trace = cut(error.__traceback__)
            self._logger.error(
                "the application's lifespan failed at shutdown",
                exc_info=(type(error), error, trace),
            )


def _settle(future: asyncio.Future[None], error: Exception | None = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _means_unsupported(error: BaseException) -> bool:
    """Whether an application that knows only other scopes would raise this."""
    return isinstance(error, (AssertionError, KeyError, NotImplementedError, TypeError, ValueError))
