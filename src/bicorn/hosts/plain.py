"""The host of WSGI applications: the engine's own loop, which calls the application in this thread.

The interpreter is let go of while the engine waits; signals interrupt the wait, and a call of the application too
once the time for draining is over.
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
    way_out = _WayOut(engine, job)
    signal.set_wakeup_fd(engine.wakeup_fd(), warn_on_full_buffer=False)
    try:
        job.worker.note_serving()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, way_out.on_signal)
        way_out.run_engine()
        if engine.connections:
            job.logger.warning(
                "--graceful-timeout is over: ending %d connections", engine.connections
            )
    finally:
        signal.set_wakeup_fd(-1)
        engine.close()


class DrainTimeout(BaseException):
    """Raised inside the application when ``graceful_timeout`` is over and it has still not returned."""


class _WayOut:
    """The engine stops when its connections have ended after the first signal, or when the time is up.

    The clock is a thread, and not SIGALRM, which is the application's to use.
    """

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine = engine
        self._worker = job.worker
        self._clock = threading.Timer(job.config.graceful_timeout, self._time_is_up)
        self._clock.daemon = True
        self._may_raise = False

    def run_engine(self) -> None:
        try:
            self._engine.run()
            self._may_raise = False
        except DrainTimeout:
            # It came when the application was not being called.
            self._may_raise = False
        self._clock.cancel()

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._may_raise:
            self._may_raise = False
            raise DrainTimeout("--graceful-timeout is over, and the worker has to end")
        if self._clock.ident is None:
            self._worker.note_draining()
            self._clock.start()
            self._engine.drain(self._engine.stop)

    def _time_is_up(self) -> None:
        self._engine.stop()
        self._may_raise = True
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
