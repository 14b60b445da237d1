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
from bicorn.errors import InternalError, OperatorError, WorkerStartError
from bicorn.log.line import LineLog
from bicorn.supervisor.channel import FAILED, READY, Channel
from bicorn.supervisor.handle import WorkerHandle, WorkerState
from bicorn.supervisor.listeners import Listener, bind_all, close_all
from bicorn.supervisor.signals import SignalPipe
from bicorn.supervisor.slot import Slot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.config import Config

KILL_GRACE = 10.0
"""Seconds after ``graceful_timeout`` in which a worker shuts its application down, before it is killed."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD)


class State(enum.Enum):
    """STARTING ─▶ SERVING ─▶ STOPPING ─▶ KILLING ─▶ ENDED

    STARTING lasts until the first worker is ready; when none can be, it leads to ENDED. The first signal leads to
    STOPPING, a second one or the deadline to KILLING.
    """

    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"
    KILLING = "killing"
    ENDED = "ended"


_NEXT = {
    State.STARTING: {State.SERVING, State.STOPPING, State.KILLING, State.ENDED},
    State.SERVING: {State.STOPPING, State.KILLING},
    State.STOPPING: {State.KILLING, State.ENDED},
    State.KILLING: {State.ENDED},
    State.ENDED: set[State](),
}


def run(config: Config) -> int:
    """Binds, serves until told to stop, and returns the exit status.

    Raises `bicorn.errors.OperatorError` when an address cannot be had or no worker can start.
    """
    _occupy_standard_streams()
    listeners = bind_all(config.bind)
    try:
        return Supervisor(config, listeners).run()
    except InWorker as worker:
        return worker.exit_status
    finally:
        close_all(listeners)


def _occupy_standard_streams() -> None:
    """Whoever started this process may have closed them: a socket that got such a number would be written to as
    if it were standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The kernel gives the lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


class InWorker(BaseException):
    """Unwinds the parent's code in a forked child, which then exits as any Python program does."""

    def __init__(self, exit_status: int) -> None:
        super().__init__(exit_status)
        self.exit_status = exit_status


class Supervisor:
    """The parent of all workers."""

    def __init__(self, config: Config, listeners: list[Listener]) -> None:
        self.config = config
        self.listeners = listeners
        self.state = State.STARTING
        self.log = LineLog(config.log_level)
        self.scoreboard = Scoreboard(config.workers)
        self.slots = [Slot(number) for number in range(config.workers)]
        self.workers: dict[int, WorkerHandle] = {}
        self.failure: ReportedFailure | WorkerStartError | None = None
        self.kill_at = 0.0
        self.signals = SignalPipe(_SIGNALS)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.signals, selectors.EVENT_READ)

    def run(self) -> int:
        """Runs until no worker is left."""
        # What is here now will stay: shared with the workers, if no collector writes to it.
        gc.freeze()
        try:
            while self.state is not State.ENDED:
                self._start_what_is_due()
                for key, _ in self.selector.select(self._timeout()):
                    if key.fileobj is self.signals:
                        self._handle_signals(self.signals.receive())
                    else:
                        self._listen_to(key.data)
                self._kill_what_is_overdue()
                self._end_if_alone()
        finally:
            self.selector.close()
            self.signals.close(is_end=True)
        if self.failure is not None:
            raise self._told(self.failure)
        return 0

    # Stopping

    def _handle_signals(self, numbers: list[int]) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._reap()
            elif self.state in (State.STARTING, State.SERVING) and number != signal.SIGQUIT:
                self._stop(signal.Signals(number))
            elif self.state is not State.KILLING:
                self.log.info(f"{signal.Signals(number).name}: ending at once")
                self._kill()

    def _stop(self, number: signal.Signals) -> None:
        self._enter(State.STOPPING)
        limit = f"{self.config.graceful_timeout:g} s"
        self.log.info(f"{number.name}: finishing what is in flight, for up to {limit}")
        self.failure = None
        self.kill_at = time.monotonic() + self.config.graceful_timeout + KILL_GRACE
        # As long as this process holds a listening socket, clients are connected whom nobody will answer.
        close_all(self.listeners)
        for worker in self.workers.values():
            worker.stop()

    def _kill_what_is_overdue(self) -> None:
        if self.state is State.STOPPING and self.workers and time.monotonic() >= self.kill_at:
            names = ", ".join(str(pid) for pid in self.workers)
            self.log.error(f"did not end in time, and will be killed: worker {names}")
            self._kill()

    def _kill(self) -> None:
        self._enter(State.KILLING)
        self.failure = None
        for worker in self.workers.values():
            worker.kill()

    def _end_if_alone(self) -> None:
        """There is no worker left, and none will be started."""
        is_over = self.state in (State.STOPPING, State.KILLING)
        if not self.workers and (is_over or self._has_failed_to_start()):
            self._enter(State.ENDED)

    def _has_failed_to_start(self) -> bool:
        return self.state is State.STARTING and self.failure is not None

    # Starting

    def _may_start(self) -> bool:
        # Until one worker is ready, another attempt would only fail as the first did.
        return self.state is State.SERVING or (
            self.state is State.STARTING and self.failure is None
        )

    def _timeout(self) -> float | None:
        """Seconds until something is due, whatever else happens."""
        due = []
        if self._may_start():
            due = [slot.start_at for slot in self.slots if slot.worker is None]
        elif self.state is State.STOPPING:
            due = [self.kill_at]
        elif not self.workers:
            return 0.0
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_what_is_due(self) -> None:
        for slot in self.slots:
            now = time.monotonic()
            if slot.worker is None and slot.start_at <= now and self._may_start():
                self._start(slot, now)

    def _start(self, slot: Slot, now: float) -> None:
        self.scoreboard.clear(slot.number)
        parent = os.getpid()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            self._note_no_start(slot, now, error)
            return
        with self.signals.held_back():
            try:
                pid = os.fork()
            except OSError as error:
                ours.close()
                theirs.close()
                self._note_no_start(slot, now, error)
                return
            if pid == 0:
                ours.close()
                self._let_go_in_child()
        if pid == 0:
            raise InWorker(self._work(slot, theirs, parent))
        theirs.close()
        worker = WorkerHandle(slot, pid, Channel(ours), now)
        slot.worker = worker
        self.workers[pid] = worker
        self.selector.register(worker.channel, selectors.EVENT_READ, worker)

    def _let_go_in_child(self) -> None:
        """A worker keeps nothing of its parent's and of its siblings', least of all the files on the disk."""
        self.signals.abandon()
        self.selector.close()
        for sibling in self.workers.values():
            sibling.channel.close()
        for listener in self.listeners:
            listener.disown()

    def _work(self, slot: Slot, channel: socket.socket, parent: int) -> int:
        """In the child: a whole worker's life, whose exit status this is."""
        from bicorn.worker import Inheritance, serve

        board = (self.scoreboard, slot.number)
        try:
            return serve(self.config, Inheritance(self.listeners, channel, board, parent))
        except BaseException:  # noqa: BLE001 - the child's top: the parent's code is below
            import traceback

            traceback.print_exc()
            return 1

    # What is heard of workers

    def _listen_to(self, worker: WorkerHandle) -> None:
        if worker.state is WorkerState.ENDED:
            # It was reaped in this very turn, and was listened to then.
            return
        for message in worker.channel.receive():
            if message.kind == READY:
                self._note_ready(worker, message.text)
            elif message.kind == FAILED:
                worker.failure = message
        if worker.channel.is_at_end:
            # The process is about to end, or has already.
            self._stop_listening_to(worker)

    def _stop_listening_to(self, worker: WorkerHandle) -> None:
        if worker.channel.fileno() in self.selector.get_map():
            self.selector.unregister(worker.channel)

    def _note_ready(self, worker: WorkerHandle, banner: str) -> None:
        if not worker.note_ready():
            return
        if self.state is not State.STARTING:
            self.log.info(f"worker {worker.pid} is ready")
            return
        self._enter(State.SERVING)
        if self.failure is not None:
            # Another worker could not start: it is now one that is started again.
            self.log.error(f"{self.failure}: trying again")
            self.failure = None
        self.log.write(banner)

    def _reap(self) -> None:
        """All that have ended, strangers' orphans among them where this is process 1 of a container."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self.workers.pop(pid, None)
            if worker is not None:
                self._note_end(worker, wait_status)

    def _note_end(self, worker: WorkerHandle, wait_status: int) -> None:
        self._listen_to(worker)
        self._stop_listening_to(worker)
        former = worker.state
        worker.note_end(wait_status)
        now = time.monotonic()
        worker.slot.note_end(worker.started, now, was_ready=former is WorkerState.READY)
        if former is WorkerState.STOPPING or self.state in (State.STOPPING, State.KILLING):
            self.log.debug(f"worker {worker.pid} {worker.cause}")
        elif former is WorkerState.STARTING:
            self._note_failed_start(_failure_of(worker))
        else:
            age = now - worker.started
            self.log.error(
                f"worker {worker.pid} {worker.cause} after {age:.0f} s: starting another"
            )

    def _note_no_start(self, slot: Slot, now: float, error: OSError) -> None:
        slot.note_no_start(now)
        self._note_failed_start(WorkerStartError(f"no worker can be forked: {error.strerror}"))

    def _note_failed_start(self, failure: ReportedFailure | WorkerStartError) -> None:
        if self.state is State.STARTING:
            # The others fail for the same reason, as a rule, and one report is enough.
            self.failure = self.failure or failure
        else:
            self.log.error(f"{self._told(failure)}: trying again")

    def _told(self, failure: ReportedFailure | WorkerStartError) -> OperatorError:
        """The failure, after what the application itself says of it was shown."""
        if isinstance(failure, ReportedFailure) and failure.details:
            self.log.write(f"{failure.details}\n")
        return failure

    def _enter(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            raise InternalError(f"the parent cannot go from {self.state.name} to {state.name}")
        self.state = state


class ReportedFailure(OperatorError):
    """A worker's own words for why it could not start, and its exit status."""

    def __init__(self, text: str, exit_status: int) -> None:
        self.details, _, line = text.rpartition("\n")
        super().__init__(line)
        self.exit_status = exit_status


def _failure_of(worker: WorkerHandle) -> ReportedFailure | WorkerStartError:
    if worker.failure is not None:
        return ReportedFailure(worker.failure.text, worker.failure.status)
    return WorkerStartError(f"worker {worker.pid} {worker.cause} before it was ready")
