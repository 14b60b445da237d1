"""The host of WSGI applications: the engine's own loop, which calls the application in this thread.

The interpreter is let go of while the engine waits; signals interrupt the wait.
"""

from __future__ import annotations

import signal
import threading

from bicorn._native import Engine, WsgiGateway

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from bicorn.hosts import Job


def serve(job: Job) -> None:
    """Serves until SIGTERM or SIGINT, and then until what is in flight is done."""
    multiprocess = job.config.workers > 1
    engine = job.engine(WsgiGateway(job.app, multiprocess=multiprocess, report=job.report))
    drain = _Drain(engine, job.config.graceful_timeout)
    signal.set_wakeup_fd(engine.wakeup_fd(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, drain.begin)
    try:
        job.ready()
        engine.run()
        if engine.connections:
            job.logger.warning("%d connections did not end in time", engine.connections)
    finally:
        signal.set_wakeup_fd(-1)
        engine.close()
        drain.end()


class _Drain:
    """The way out: the engine stops when its connections have ended, or when the time is up."""

    def __init__(self, engine: Engine, timeout: float) -> None:
        self._engine = engine
        self._deadline = threading.Timer(timeout, engine.stop)
        self._deadline.daemon = True
        self._begun = False

    def begin(self, _number: int, _frame: FrameType | None) -> None:
        if not self._begun:
            self._begun = True
            self._deadline.start()
            self._engine.drain(self._engine.stop)

    def end(self) -> None:
        self._deadline.cancel()
        if self._begun:
            self._deadline.join()
