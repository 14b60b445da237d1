"""How a worker is ended: asked, waited for, reported on, and put down when it does not come.

Owns the order TERM, report, ABRT, KILL and the times between them.
"""

from __future__ import annotations

import signal

from bicorn.supervisor.handle import WorkerState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bicorn.supervisor.handle import WorkerHandle
    from bicorn.supervisor.loop import Loop

    Report = Callable[[WorkerHandle, str, Callable[[], None]], None]

REPEAT_INTERVAL = 1.0
"""Seconds after which a worker that has not begun to drain is told again: a signal that comes just before a system
call of the application does not interrupt it."""
KILL_GRACE = 10.0
"""Seconds after ``graceful_timeout`` in which a worker shuts its application down, before it is put down."""
ABORT_GRACE = 1.0
"""Seconds between SIGABRT and SIGKILL, for a core dump or a handler of the application."""


class Ending:
    """``report`` writes a worker's stacks to the log, under a line that says why, and calls back when it is done."""

    def __init__(self, loop: Loop, report: Report) -> None:
        self._loop = loop
        self._report = report

    def drain(self, worker: WorkerHandle, cause: str) -> None:
        """Has the worker finish what it has; one that hangs is put down, since it can finish nothing."""
        worker.cause = worker.cause or cause
        if worker.state is WorkerState.HUNG:
            self._abort(worker)
        elif worker.enter(WorkerState.DRAINING):
            self._ask(worker)
            limit = worker.generation.config.graceful_timeout + KILL_GRACE
            self._loop.call_later(limit, lambda: self._note_overdue(worker))

    def put_down(self, worker: WorkerHandle, cause: str) -> None:
        """Ends the worker whatever it does, after its report is in the log."""
        worker.cause = worker.cause or cause
        if worker.enter(WorkerState.DYING):
            self._report(worker, cause, lambda: self._abort(worker))

    def _ask(self, worker: WorkerHandle) -> None:
        if worker.state is WorkerState.DRAINING and not worker.is_drain_begun:
            worker.signal(signal.SIGTERM)
            self._loop.call_later(REPEAT_INTERVAL, lambda: self._ask(worker))

    def _note_overdue(self, worker: WorkerHandle) -> None:
        if worker.state is WorkerState.DRAINING:
            self.put_down(worker, "did not end in time, and will be killed")

    def _abort(self, worker: WorkerHandle) -> None:
        worker.enter(WorkerState.DYING)
        worker.signal(signal.SIGABRT)
        self._loop.call_later(ABORT_GRACE, worker.kill)
