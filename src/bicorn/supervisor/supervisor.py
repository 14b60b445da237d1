"""The parent's loop: starts workers, starts others for those that die, and ends them all.

One loop over signals, the workers' channels and timers. It decides from what it is told and from the clock;
the steps themselves are in the other files of this package.
"""

from __future__ import annotations

import enum
import gc
import os
import selectors
import signal
import socket
import time

from bicorn._native import Scoreboard
from bicorn.errors import OperatorError, WorkerStartError
from bicorn.log.line import LineLog
from bicorn.supervisor.channel import FAILED, READY, Channel
from bicorn.supervisor.handle import WorkerHandle, WorkerState
from bicorn.supervisor.listeners import Listener, bind_all, close_all
from bicorn.supervisor.signals import SignalPipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Never

    from bicorn.config import Config

KILL_GRACE = 2.0
"""Seconds that a worker has after its own graceful deadline before it is killed."""
SHORTEST_LIFE = 10.0
"""A worker that ends sooner than this many seconds after its start makes the next start wait longer."""
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 30.0


class State(enum.Enum):
    """STARTING ─▶ SERVING ─▶ STOPPING ─▶ KILLING ─▶ ENDED

    STARTING lasts until the first worker is ready; from it a failure of all workers leads straight to
    ENDED. A second signal, or the deadline, leads from STOPPING to KILLING.
    """

    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"
    KILLING = "killing"
    ENDED = "ended"


class InWorker(BaseException):
    """Unwinds the parent's code in a forked child, which then exits as any Python program does."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def run(config: Config) -> int:
    """Binds, serves until told to stop, and returns the exit status.

    Raises `bicorn.errors.OperatorError` when an address cannot be had or no worker can start.
    """
    listeners = bind_all(config.bind)
    try:
        status = Supervisor(config, listeners).run()
    except InWorker as ended:
        # The listeners' files on the disk are the parent's to remove.
        return ended.status
    except BaseException:
        close_all(listeners)
        raise
    close_all(listeners)
    return status


class Supervisor:
    """The parent of all workers."""

    def __init__(self, config: Config, listeners: list[Listener]) -> None:
        self.config = config
        self.listeners = listeners
        self.state = State.STARTING
        self.log = LineLog(config.log_level)
        self.scoreboard = Scoreboard(config.workers)
        self.workers: dict[int, WorkerHandle] = {}
        self.failure: OperatorError | None = None
        self.slots = [Slot(number) for number in range(config.workers)]
        self.kill_at = 0.0
        self.selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Runs until no worker is left."""
        signals = SignalPipe((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD))
        self.selector.register(signals, selectors.EVENT_READ)
        gc.freeze()
        try:
            while self.state is not State.ENDED:
                self._start_what_is_due(signals)
                for key, _ in self.selector.select(self._timeout()):
                    if key.fileobj is signals:
                        self._handle_signals(signals.receive())
                    elif key.data.state is not WorkerState.ENDED:
                        # One reaped in this very turn has been listened to, and its channel is closed.
                        self._listen_to(key.data)
                self._kill_what_is_overdue()
        finally:
            self.selector.close()
            signals.close()
        if self.failure is not None:
            raise self.failure
        return 0

    def _handle_signals(self, numbers: list[int]) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._reap()
            else:
                self._stop(signal.Signals(number))

    def _stop(self, number: signal.Signals) -> None:
        """The first signal asks for a graceful end, another one, or SIGQUIT, for a quick one."""
        if self.state in (State.STARTING, State.SERVING) and number != signal.SIGQUIT:
            self.log.info(
                f"{number.name}: finishing what is in flight, for up to {self.config.graceful_timeout:g} s"
            )
            self.state = State.STOPPING
            self.kill_at = time.monotonic() + self.config.graceful_timeout + KILL_GRACE
            for worker in self.workers.values():
                worker.stop()
        elif self.state is not State.KILLING:
            self.log.info(f"{number.name}: ending at once")
            self._kill_all()
        self._end_if_alone()

    def _kill_what_is_overdue(self) -> None:
        if self.state is State.STOPPING and time.monotonic() >= self.kill_at:
            self.log.error(f"{len(self.workers)} workers did not end in time: killing them")
            self._kill_all()

    def _kill_all(self) -> None:
        self.state = State.KILLING
        for worker in self.workers.values():
            worker.kill()

    def _timeout(self) -> float | None:
        """Seconds until something is due, whatever else happens."""
        due = [slot.start_at for slot in self.slots if slot.is_vacant] if self._may_start() else []
        if self.state is State.STOPPING:
            due.append(self.kill_at)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _may_start(self) -> bool:
        # Until one worker is ready, another attempt would only fail as the first did.
        return self.state is State.SERVING or (
            self.state is State.STARTING and self.failure is None
        )

    def _start_what_is_due(self, signals: SignalPipe) -> None:
        now = time.monotonic()
        for slot in self.slots if self._may_start() else ():
            if slot.is_vacant and slot.start_at <= now:
                self._start(slot, signals)

    def _start(self, slot: Slot, signals: SignalPipe) -> None:
        ours, theirs = socket.socketpair()
        self.scoreboard.clear(slot.number)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_worker(slot, theirs, signals, parent)
        theirs.close()
        worker = WorkerHandle(slot.number, pid, Channel(ours), time.monotonic())
        slot.is_vacant = False
        self.workers[pid] = worker
        self.selector.register(worker.channel, selectors.EVENT_READ, worker)

    def _become_worker(
        self, slot: Slot, channel: socket.socket, signals: SignalPipe, parent: int
    ) -> Never:
        """In the child: lets go of what is the parent's, and is a worker from here on."""
        self.selector.close()
        signals.close()
        for sibling in self.workers.values():
            sibling.channel.close()
        from bicorn.worker import Inheritance, serve

        sockets = [listener.socket for listener in self.listeners]
        urls = [listener.url for listener in self.listeners]
        board = (self.scoreboard, slot.number)
        raise InWorker(serve(self.config, Inheritance(sockets, urls, channel, board, parent)))

    def _listen_to(self, worker: WorkerHandle) -> None:
        messages = worker.channel.receive()
        for message in messages:
            if message.kind == READY:
                self._note_ready(worker, message.text)
            elif message.kind == FAILED:
                worker.failure = message
        if not messages:
            # The end of the channel: the process is about to be reaped.
            self.selector.unregister(worker.channel)

    def _note_ready(self, worker: WorkerHandle, banner: str) -> None:
        worker.note_ready()
        if self.state is State.STARTING:
            self.state = State.SERVING
            if self.failure is not None:
                self.log.error(str(self.failure))
                self.failure = None
            self.log.write(banner)
        else:
            self.log.info(f"worker {worker.pid} is ready")

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            worker = self.workers.pop(pid, None)
            if worker is not None:
                self._note_end(worker, status)
        self._end_if_alone()

    def _note_end(self, worker: WorkerHandle, status: int) -> None:
        self._listen_to_the_last(worker)
        former = worker.state
        worker.note_end(status)
        slot = self.slots[worker.slot]
        slot.note_end(worker.started)
        if former is WorkerState.STOPPING or self.state in (State.STOPPING, State.KILLING):
            self.log.debug(f"worker {worker.pid} {worker.cause}")
        elif former is WorkerState.STARTING:
            self._note_failed_start(worker)
        else:
            age = time.monotonic() - worker.started
            self.log.error(
                f"worker {worker.pid} {worker.cause} after {age:.0f} s: starting another"
            )

    def _listen_to_the_last(self, worker: WorkerHandle) -> None:
        if worker.channel in {key.fileobj for key in self.selector.get_map().values()}:
            self._listen_to(worker)
        if worker.channel in {key.fileobj for key in self.selector.get_map().values()}:
            self.selector.unregister(worker.channel)

    def _note_failed_start(self, worker: WorkerHandle) -> None:
        failure = _failure_of(worker)
        if self.state is State.STARTING:
            self.failure = failure
        else:
            self.log.error(f"{failure}: trying again")

    def _end_if_alone(self) -> None:
        if not self.workers and (self.state in (State.STOPPING, State.KILLING) or self.failure):
            self.state = State.ENDED


class Slot:
    """A worker's place: whether it is vacant, and when the next one may start there."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_vacant = True
        self.start_at = 0.0
        self._backoff = FIRST_BACKOFF

    def note_end(self, started: float) -> None:
        """At most one start a second, and fewer where workers keep ending soon."""
        self.is_vacant = True
        self.start_at = started + self._backoff
        lived_long = time.monotonic() - started >= SHORTEST_LIFE
        self._backoff = FIRST_BACKOFF if lived_long else min(self._backoff * 2, LONGEST_BACKOFF)


class ReportedFailure(OperatorError):
    """A worker's own words for why it could not start, and its exit status."""

    def __init__(self, text: str, exit_status: int) -> None:
        super().__init__(text)
        self.exit_status = exit_status


def _failure_of(worker: WorkerHandle) -> OperatorError:
    if worker.failure is not None:
        return ReportedFailure(worker.failure.text, worker.failure.status)
    return WorkerStartError(f"worker {worker.pid} {worker.cause} before it was ready")
