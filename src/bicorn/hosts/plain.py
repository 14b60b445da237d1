"""The host of WSGI applications: the engine's own loop, which calls the application in this thread.

The interpreter is let go of while the engine waits; signals interrupt the wait, and a call of the application too
once the time for draining is over.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time

from bicorn._native import Engine, WsgiGateway
from bicorn.hosts.warmup import WarmUp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from bicorn.hosts import Job

INTERRUPTION_INTERVAL = 0.1
"""Seconds after which an application that was not interrupted is interrupted again."""

_STOP = (signal.SIGTERM, signal.SIGINT)
_REOPEN = signal.SIGUSR1
_SIGNALS = (*_STOP, _REOPEN)


def serve(job: Job) -> None:
    """Serves until SIGTERM, and then until what is in flight is done; SIGINT waits for nothing.

    Raises `bicorn.errors.AppStartupError` when the application does not answer the warm-up request as it should.
    """
    gateway = WsgiGateway(job.app, multiprocess=job.config.workers > 1, report=job.report)
    with contextlib.closing(job.engine(gateway)) as engine:
        _warm_up(job, engine)
        _serve(job, engine)


def _warm_up(job: Job, engine: Engine) -> None:
    """The signals have their defaults: nobody is connected, and one that ends the process may do so."""
    if job.config.warmup_path:
        warm_up = WarmUp(job.config, engine, engine.stop)
        engine.run()
        warm_up.judge()


def _serve(job: Job, engine: Engine) -> None:
    former = {number: signal.getsignal(number) for number in _SIGNALS}
    # A signal waits until there is somebody to take it: by default it would end the process, with whoever has
    # just connected.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        job.listen(engine)
        way_out = _WayOut(engine, job)
        signal.set_wakeup_fd(engine.wakeup_fd(), warn_on_full_buffer=False)
        for number in _STOP:
            signal.signal(number, way_out.on_signal)
        signal.signal(_REOPEN, lambda _number, _frame: job.reopen_log(engine))
        job.worker.note_serving()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        way_out.run_engine()
        signal.set_wakeup_fd(-1)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class DrainTimeout(BaseException):
    """Raised inside the application when ``graceful_timeout`` is over and it has still not returned."""


class _WayOut:
    """The engine stops when its connections have ended after the first signal, or when the time is up.

    The clock is a thread, and not SIGALRM, which is the application's to use.
    """

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine = engine
        self._worker = job.worker
        self._logger = job.logger
        self._limit = job.config.graceful_timeout
        self._clock: threading.Timer | None = None
        # Taken in one step, since a signal may come while another is handled.
        self._beginning = iter((self._begin,))
        self._interruption = iter((DrainTimeout,))
        self._is_time_up = False
        self._is_interrupted = False
        self._has_returned = False

    def run_engine(self) -> None:
        try:
            self._engine.run()
        except DrainTimeout:
            # It came when the application was not being called.
            pass
        finally:
            self._has_returned = True
            if self._clock is not None:
                self._clock.cancel()
                self._clock.join()
        if self._engine.connections and self._limit:
            self._logger.warning(
                "--graceful-timeout is over: ending %d connections", self._engine.connections
            )

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        if begin := next(self._beginning, None):
            begin(number)
        elif self._is_time_up and not self._has_returned:
            for interruption in self._interruption:
                self._is_interrupted = True
                raise interruption("--graceful-timeout is over, and the worker has to end")

    def _begin(self, number: int) -> None:
        """SIGINT waits for nothing."""
        if number == signal.SIGINT:
            self._limit = 0.0
        self._worker.note_draining()
        self._engine.drain(self._engine.stop)
        self._clock = threading.Timer(self._limit, self._time_is_up)
        self._clock.daemon = True
        self._clock.start()

    def _time_is_up(self) -> None:
        self._engine.stop()
        self._is_time_up = True
        # A signal that comes just before a system call does not interrupt it.
        while not (self._is_interrupted or self._has_returned):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            time.sleep(INTERRUPTION_INTERVAL)
