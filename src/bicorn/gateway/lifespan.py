"""The lifespan protocol: an application's start-up and shutdown (asgiref, "Lifespan Protocol" 2.0).

Owns what is said to the application and what its answers mean. Runs in a task of its own for the whole life of
the worker, so that task groups which an application opens at start-up are still its own at shutdown. Knows no
event loop: the host makes that task, gives the events, and sets the time limits.
"""

from __future__ import annotations

import enum

from bicorn.errors import AppStartupError, ContractError
from bicorn.log.report import cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, MutableMapping
    from types import TracebackType
    from typing import Any, Protocol

    class Event(Protocol):
        """What `asyncio.Event` and ``trio.Event`` have in common."""

        def set(self) -> object: ...
        async def wait(self) -> object: ...


class Phase(enum.Enum):
    """STARTING ─▶ STARTED ─▶ STOPPING ─▶ STOPPED

    STARTING leads to UNSUPPORTED or FAILED instead, and STARTED to ENDED where the application gives up early.
    """

    STARTING = "starting"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"
    ENDED = "ended"


_ANSWERS = {
    (Phase.STARTING, "lifespan.startup.complete"): Phase.STARTED,
    (Phase.STARTING, "lifespan.startup.failed"): Phase.FAILED,
    (Phase.STOPPING, "lifespan.shutdown.complete"): Phase.STOPPED,
    (Phase.STOPPING, "lifespan.shutdown.failed"): Phase.STOPPED,
}


class Lifespan:
    """One application's lifespan.

    ``is_required`` is ``--lifespan on``: an application without one fails to start. ``make_event`` makes an
    event of the host's loop.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        is_required: bool,
        logger: logging.Logger,
        make_event: Callable[[], Event],
    ) -> None:
        self.phase = Phase.STARTING
        self._app = app
        self._is_required = is_required
        self._logger = logger
        self._state: dict[str, Any] = {}
        self._pending = ["lifespan.shutdown", "lifespan.startup"]
        self._failure = ""
        self._answered_startup = make_event()
        self._stop_asked = make_event()
        self._answered_shutdown = make_event()
        self._never = make_event()

    async def run(self) -> None:
        """The whole life; the host runs it in a task of its own."""
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the app call
            self._note_end(error)
        else:
            self._note_end(None)
        finally:
            self._answered_startup.set()
            self._answered_shutdown.set()

    async def start_up(self) -> MutableMapping[str, Any] | None:
        """Waits until the application has started. Gives the state to copy into each scope, or None where the
        application has no lifespan.

        Raises `AppStartupError` when the application says that it cannot start, or has no lifespan where one
        is required. The last line of its text is Bicorn's, what stands above that is the application's.
        """
        await self._answered_startup.wait()
        if self.phase is Phase.FAILED:
            raise AppStartupError(self._failure)
        has_started = self.phase not in (Phase.STARTING, Phase.UNSUPPORTED)
        return self._state if has_started else None

    def abandon(self) -> None:
        """Ends the wait for a start-up that is not wanted any more."""
        self._answered_startup.set()

    async def shut_down(self) -> None:
        """Tells the application to shut down, and waits until it has."""
        if self.phase is Phase.STARTED:
            self.phase = Phase.STOPPING
            self._stop_asked.set()
            await self._answered_shutdown.wait()

    async def _receive(self) -> dict[str, str]:
        if not self._pending:
            # Nothing comes after shutdown: whoever asks waits until the host cancels the task.
            await self._never.wait()
        kind = self._pending.pop()
        if kind == "lifespan.shutdown":
            await self._stop_asked.wait()
        return {"type": kind}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        kind = message["type"]
        answered = _ANSWERS.get((self.phase, kind))
        if answered is None:
            raise ContractError(
                f"{kind!r} cannot be sent while the lifespan is {self.phase.value} "
                "(ASGI specification, Lifespan Protocol)"
            )
        text = str(message.get("message") or "").rstrip()
        if answered is Phase.FAILED:
            line = "the application failed to start, with the message above"
            self._failure = f"{text}\n{line}" if text else "the application failed to start"
        elif kind == "lifespan.shutdown.failed":
            self._logger.error("the application failed to shut down%s", text and f"\n{text}")
        self.phase = answered
        (self._answered_shutdown if answered is Phase.STOPPED else self._answered_startup).set()

    def _note_end(self, error: BaseException | None) -> None:
        """The application returned or raised."""
        former = self.phase
        if former is Phase.STARTING:
            self._do_without(error)
        elif former in (Phase.STARTED, Phase.STOPPING):
            self.phase = Phase.ENDED
            if error is not None:
                when = "while it served" if former is Phase.STARTED else "at shutdown"
                self._logger.error(
                    "the application's lifespan failed %s", when, exc_info=_cut(error)
                )

    def _do_without(self, error: BaseException | None) -> None:
        """ "If an exception is raised when calling the application callable with a lifespan.startup message or a
        scope of type lifespan, the server must continue" (Lifespan Protocol): unless told otherwise."""
        reason = "it returned" if error is None else f"{type(error).__name__}: {error}"
        if self._is_required:
            self.phase = Phase.FAILED
            self._failure = (
                f"{_formatted(error)}the application did not start its lifespan ({reason}): "
                "correct it, or use --lifespan auto"
            )
            return
        self.phase = Phase.UNSUPPORTED
        has_received = len(self._pending) < 2
        if error is not None and has_received:
            self._logger.warning(
                "the application raised in its lifespan start-up and is served without one; "
                "--lifespan on makes that an error",
                exc_info=_cut(error),
            )
        else:
            self._logger.info("the application has no lifespan (%s)", reason)


def _formatted(error: BaseException | None) -> str:
    if error is None:
        return ""
    import traceback

    return "".join(traceback.format_exception(*_cut(error)))


def _cut(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    return type(error), error, cut(error.__traceback__)
