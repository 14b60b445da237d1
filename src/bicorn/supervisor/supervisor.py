"""The parent: told by signals, by workers and by the clock, it decides what happens next.

One loop, in which nothing blocks. Owns the parent's state and what each signal means; who serves is the roster's,
how processes are made and ended is `spawning` and `ending`.
"""

from __future__ import annotations

import enum
import gc
import os
import signal

from bicorn._native import Scoreboard
from bicorn.errors import ConfigError, InternalError, OperatorError, WorkerStartError
from bicorn.log.line import LineLog
from bicorn.reserved import REPORT_SIGNAL
from bicorn.supervisor import deaths
from bicorn.supervisor.care import Care
from bicorn.supervisor.channel import DRAINING, FAILED, READY
from bicorn.supervisor.door import open_door
from bicorn.supervisor.ending import Ending
from bicorn.supervisor.failures import ReportedFailure, failure_of
from bicorn.supervisor.generation import Generation, require_for
from bicorn.supervisor.handle import WorkerState
from bicorn.supervisor.herald import Herald
from bicorn.supervisor.host import Host
from bicorn.supervisor.loop import Loop
from bicorn.supervisor.reporting import Reporting
from bicorn.supervisor.roster import Roster
from bicorn.supervisor.signals import SignalPipe
from bicorn.supervisor.spawning import Spawner
from bicorn.supervisor.upgrade import Command, Origin, Upgrade, UpgradeState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bicorn.config import Config
    from bicorn.supervisor.door import Door
    from bicorn.supervisor.handle import WorkerHandle
    from bicorn.supervisor.place import Place
    from bicorn.supervisor.templates import Templates

QUICK_GRACE = 8.0
"""Seconds that workers have for a quick end, before they are killed."""


class State(enum.Enum):
    """STARTING ─▶ SERVING ─▶ STOPPING ─▶ KILLING ─▶ ENDED

    STARTING lasts until the first worker is ready; when none can be, it leads to ENDED. The first signal to end
    leads to STOPPING, a second one or the deadline to KILLING.
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


class Supervisor:
    """The parent of all workers."""

    def __init__(
        self,
        generation: Generation,
        reread: Callable[[], Config],
        lineage: tuple[Command, Origin],
        outside: tuple[Host, Herald],
    ) -> None:
        config = generation.config
        self.state = State.STARTING
        self.log = LineLog(config.log_level)
        self.loop = Loop(self._note_bug)
        self.board = Scoreboard(4 * (max(config.workers, 16) + config.reload_surge))
        self.signals = SignalPipe(_HANDLERS)
        self.spawner = Spawner(
            self.loop, self.board, self.signals, self._let_go_in_child, self._note_unborn
        )
        self.templates: Templates | None = None
        self.ending = Ending(self.loop, self._report)
        self.roster = Roster(generation, self._start, self.ending.drain)
        self.reporting = Reporting(self.loop, self.board, self.log, self.roster)
        self.door: Door | None = None
        self.upgrade = Upgrade(self.loop, self._note_upgraded)
        self.out_of_memory = deaths.OutOfMemory()
        self.failure: ReportedFailure | WorkerStartError | None = None
        self.reporting.state = self.state.value
        self._generations = generation.number
        self._reread = reread
        self._command, self._origin = lineage
        self.host, self.herald = outside
        self._held_stop: signal.Signals | None = None

    @property
    def config(self) -> Config:
        return self.roster.current.config

    def run(self) -> int:
        """Runs until no worker is left."""
        # What is here now will stay: shared with the workers, if no collector writes to it.
        gc.freeze()
        self.loop.watch(self.signals, self._handle_signals)
        signal.signal(REPORT_SIGNAL, signal.SIG_IGN)
        self.door = open_door(self.loop, os.getpid(), self.reporting.commands, self.log.warning)
        self.herald.begin(self.loop, self.board, self.roster)
        Care(self.loop, self.board, self.log, self._report).begin(self.roster, self.ending)
        try:
            while self.state is not State.ENDED:
                self._step()
                self.loop.run_once()
                self._end_if_alone()
        finally:
            if self.door is not None:
                self.door.close()
            self.loop.close()
            self.signals.close(is_end=True)
        self.herald.note_end()
        if self.failure is not None:
            raise self._told(self.failure)
        return 0

    def _step(self) -> None:
        if not self._may_start():
            return
        now = self.loop.now()
        self.roster.step(now)
        next_start = self.roster.next_start(now)
        if next_start is not None:
            self.loop.call_at(next_start, _wake)

    def _may_start(self) -> bool:
        # Until one worker is ready, another attempt would only fail as the first did.
        return self.state is State.SERVING or (
            self.state is State.STARTING and self.failure is None
        )

    # Signals

    def _handle_signals(self) -> None:
        for number in self.signals.receive():
            _HANDLERS[signal.Signals(number)](self, signal.Signals(number))

    def _on_child(self, _number: signal.Signals) -> None:
        """All that have ended, strangers' orphans among them where this is process 1 of a container."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._note_reaped(pid, wait_status)

    def _on_end(self, number: signal.Signals) -> None:
        """TERM: finish what is in flight. INT, QUIT: quickly. A second one: at once."""
        if self.state not in (State.STARTING, State.SERVING) or self._held_stop is not None:
            self.log.info(f"{number.name}: ending at once")
            self._kill()
        elif number != signal.SIGTERM:
            self._stop_quickly(number)
        elif self.upgrade.state is UpgradeState.STARTING:
            self._held_stop = number
            self.log.info(f"{number.name}: will end when the new parent {self.upgrade.pid} serves")
        else:
            self._stop(number)

    def _on_reload(self, number: signal.Signals) -> None:
        if self.state is not State.SERVING:
            return
        self.log.info(f"{number.name}: reloading")
        try:
            config = self._reread()
            require_for(config)
            self._require_room(config)
            listeners = self.host.rebind(config)
        except OperatorError as error:
            self._note_reload_failed(str(error))
            return
        self._generations += 1
        self.reporting.last_reload = "under way"
        self.herald.note_reload()
        self.roster.reload(Generation(self._generations, config, listeners))
        self._close_unused()

    def _require_room(self, config: Config) -> None:
        """The scoreboard was made before the first fork. Each worker needs a slot, and its successor another."""
        room = len(self.board) // 2
        if config.workers + config.reload_surge > room:
            raise ConfigError(
                f"--workers {config.workers} is more than a reload can bring here: restart, "
                f"or use up to {room - config.reload_surge}"
            )

    def _on_reopen(self, _number: signal.Signals) -> None:
        for worker in self.roster.workers:
            if worker.is_serving:
                worker.signal(signal.SIGUSR1)

    def _on_upgrade(self, number: signal.Signals) -> None:
        if self.state is not State.SERVING:
            return
        if self.upgrade.state is not UpgradeState.ENDED:
            self.log.warning(f"{number.name}: the new parent {self.upgrade.pid} is there already")
            return
        try:
            self.host.set_aside()
            self.upgrade.start(
                self._command,
                self.roster.current.listeners,
                lambda: self.signals.fork(self._let_go_in_child),
                self.herald.successor_environment,
            )
        except OSError as error:
            self.host.restore()
            self.log.error(f"{number.name}: no new parent can be started: {error.strerror}")
            return
        self.log.info(f"{number.name}: starting a new parent, process {self.upgrade.pid}")

    def _on_winch(self, number: signal.Signals) -> None:
        # A terminal sends it too, whenever its window changes: it counts while two parents serve.
        if self.state is State.SERVING and self.upgrade.state is UpgradeState.READY:
            self.log.info(f"{number.name}: the workers finish and end; HUP starts others")
            self.roster.pause("another parent serves")

    def _on_resize(self, number: signal.Signals) -> None:
        if self.state is not State.SERVING or self.roster.is_paused:
            return
        former = len(self.roster.places)
        count = min(max(former + (1 if number is signal.SIGTTIN else -1), 1), len(self.board) // 4)
        self.log.info(f"{number.name}: {count} workers instead of {former}")
        self.roster.resize(count)

    # Ending

    def _stop(self, number: signal.Signals) -> None:
        limit = f"{self.config.graceful_timeout:g} s"
        self.log.info(f"{number.name}: finishing what is in flight, for up to {limit}")
        self._begin_stop()
        for worker in list(self.roster.workers):
            self.ending.drain(worker, "the server stops")

    def _stop_quickly(self, number: signal.Signals) -> None:
        self.log.info(f"{number.name}: ending quickly, without what is in flight")
        self._begin_stop()
        for worker in self.roster.workers:
            worker.cause = "the server stops"
            worker.enter(WorkerState.DRAINING)
            worker.signal(signal.SIGINT)
        self.loop.call_later(QUICK_GRACE, self._kill_what_is_left)

    def _begin_stop(self) -> None:
        self._enter(State.STOPPING)
        self.herald.note_stopping()
        self.failure = None
        self._close_templates()
        if self._origin.serves_still:
            self.host.hand_over()
        # As long as this process holds a listening socket, clients are connected whom nobody will answer.
        self.host.close_listeners()

    def _kill_what_is_left(self) -> None:
        if self.state is State.STOPPING and self.roster.workers:
            names = ", ".join(str(worker.pid) for worker in self.roster.workers)
            self.log.error(f"did not end in time, and will be killed: worker {names}")
            self._kill()

    def _kill(self) -> None:
        if self.state is State.KILLING:
            return
        self._enter(State.KILLING)
        self.failure = None
        self._close_templates()
        for worker in self.roster.workers:
            worker.kill()

    def _end_if_alone(self) -> None:
        """There is no worker left, and none will be started."""
        is_over = self.state in (State.STOPPING, State.KILLING)
        has_failed = self.state is State.STARTING and self.failure is not None
        if not self.roster.workers and (is_over or has_failed):
            self._enter(State.ENDED)

    # Starting

    def _start(self, place: Place, generation: Generation) -> WorkerHandle | None:
        now = self.loop.now()
        try:
            self.herald.note_fork(self.spawner.next_slot, generation.number)
            template = self._templates().of(generation) if generation.config.preload else None
            worker = self.spawner.start(place, generation, now, template)
        except OSError as error:
            reason = error.strerror or error
            self._note_failed_start(WorkerStartError(f"no worker can be forked: {reason}"))
            return None
        self.loop.watch(worker.channel, lambda: self._listen_to(worker))
        limit = generation.config.startup_timeout
        self.loop.call_later(limit, lambda: self._note_slow_start(worker))
        return worker

    def _templates(self) -> Templates:
        if self.templates is None:
            # Only where there are any: the parent is to stay small.
            from bicorn.supervisor.templates import Templates

            self.templates = Templates(self.loop, self.board, self.log, self._fork_template)
        return self.templates

    def _fork_template(self) -> int:
        pid = self.signals.fork(self._let_go_in_child)
        if pid == 0:
            # Each worker is given them anew: in a template they would only keep the addresses taken.
            self.host.close_listeners()
        return pid

    def _close_templates(self) -> None:
        if self.templates is not None:
            self.templates.keep(())

    def _let_go_in_child(self) -> None:
        """A child keeps nothing of its parent's and of its siblings', least of all the files on the disk."""
        if self.door is not None:
            self.door.abandon()
            self.door = None
        self.loop.close()
        if self.templates is not None:
            self.templates.abandon()
        for sibling in self.roster.workers:
            sibling.channel.close()
            sibling.witness.abandon()
        self.host.disown()
        self.herald.disown()

    def _note_slow_start(self, worker: WorkerHandle) -> None:
        if worker.state is not WorkerState.STARTING:
            return
        if not worker.pid:
            # How long a template may take is the template's to say.
            self.loop.call_later(1.0, lambda: self._note_slow_start(worker))
        else:
            limit = f"{worker.generation.config.startup_timeout:g} s"
            self.ending.put_down(worker, f"is not ready after {limit} (--startup-timeout)")

    # What is heard of workers

    def _listen_to(self, worker: WorkerHandle) -> None:
        for message in worker.channel.receive():
            if message.kind == READY:
                self._note_ready(worker, message.text)
            elif message.kind == FAILED:
                worker.failure = message
            elif message.kind == DRAINING:
                worker.is_drain_begun = True
        if worker.channel.is_at_end:
            # The process is about to end, or has already.
            self.loop.unwatch(worker.channel)

    def _note_ready(self, worker: WorkerHandle, banner: str) -> None:
        is_first = self.state is State.STARTING
        if self.state not in (State.STARTING, State.SERVING):
            return
        if not self.roster.note_ready(worker, self.loop.now()):
            return
        self.herald.note_worker_ready(worker)
        if is_first:
            self._enter(State.SERVING)
            if self.failure is not None:
                # Another worker could not start: it is now one that is started again.
                self.log.error(f"{self.failure}: trying again")
                self.failure = None
            self.log.write(banner)
            self.host.own()
            self._origin.note_ready()
            self.herald.note_ready()
            if self.templates is not None and self.config.daemon:
                self.templates.detach()
        else:
            self.log.info(f"{worker} is ready")
        self._close_unused()
        if self.reporting.last_reload == "under way" and self.roster.is_complete:
            self.reporting.last_reload = "done"
            self.herald.note_reload_ended("done")
            self.log.info("reloaded: all workers have the new code")

    def _note_reaped(self, pid: int, wait_status: int) -> None:
        if pid == self.upgrade.pid:
            self._note_upgrade_ended(wait_status)
            return
        how = deaths.describe(wait_status, is_out_of_memory=self.out_of_memory.has_struck())
        if self.templates is not None and self.templates.note_end(pid, how):
            return
        for worker in self.roster.workers:
            if worker.pid == pid:
                self._note_end(worker, how)
                return

    def _note_unborn(self, worker: WorkerHandle) -> None:
        self._note_end(worker, "has not become a process")

    def _note_end(self, worker: WorkerHandle, how: str) -> None:
        self._listen_to(worker)
        self.loop.unwatch(worker.channel)
        now, former = self.loop.now(), worker.state
        # What it was doing is read before another worker gets its place on the board.
        counters = self.board.read(worker.slot)
        in_flight = deaths.name_requests(self.board.requests(worker.slot))
        worker.enter(WorkerState.ENDED)
        is_on_trial = self.roster.note_end(worker, now)
        self.spawner.release(worker)
        self.herald.note_worker_exit(worker, f"{how}: {worker.cause}" if worker.cause else how)
        life = f"after {worker.age(now):.0f} s and {counters['requests']} requests{in_flight}"
        if not worker.was_ready and former is not WorkerState.DRAINING:
            self._note_failed_start(failure_of(worker, how), is_on_trial=is_on_trial)
        elif self.state in (State.STOPPING, State.KILLING):
            self.log.debug(f"{worker} {how} {life}")
        elif worker.cause:
            self.log.info(f"{worker} {how} {life}: {worker.cause}")
        else:
            self.log.error(f"{worker} {how} {life}: starting another")

    def _note_failed_start(
        self, failure: ReportedFailure | WorkerStartError, *, is_on_trial: bool = False
    ) -> None:
        if self.state is State.STARTING:
            # The others fail for the same reason, as a rule, and one report is enough.
            self.failure = self.failure or failure
        elif is_on_trial:
            self._note_reload_failed(str(self._told(failure)))
        elif self.state is State.SERVING:
            self.log.error(f"{self._told(failure)}: trying again")

    def _told(self, failure: ReportedFailure | WorkerStartError) -> OperatorError:
        """The failure, after what the application itself says of it was shown."""
        if isinstance(failure, ReportedFailure) and failure.details:
            self.log.write(f"{failure.details}\n")
        return failure

    # Reloads and upgrades

    def _note_reload_failed(self, reason: str) -> None:
        self.reporting.last_reload = f"failed: {reason}"
        self.herald.note_reload_ended(f"failed: {reason}")
        self.log.error(
            f"{reason}: the reload has failed, and the workers that served go on serving"
        )
        self._close_unused()

    def _close_unused(self) -> None:
        """Closes what only generations had that are gone."""
        generations = (self.roster.current, self.roster.candidate)
        used = [one for generation in generations if generation for one in generation.listeners]
        self.host.keep(used)
        if self.templates is not None:
            self.templates.keep(generations)

    def _note_upgraded(self) -> None:
        self.herald.note_upgraded(self.upgrade.pid)
        # From now on the new parent answers for the files, even if this one is killed.
        self.host.hand_over()
        self.log.info(
            f"the new parent {self.upgrade.pid} serves too: TERM to {os.getpid()} ends this one, "
            f"TERM to {self.upgrade.pid} goes back"
        )
        if self._held_stop is not None:
            held, self._held_stop = self._held_stop, None
            self._stop(held)

    def _note_upgrade_ended(self, wait_status: int) -> None:
        how = deaths.describe(wait_status)
        was_ready = self.upgrade.state is UpgradeState.READY
        word = "the new parent" if was_ready else "the upgrade has failed: the new parent"
        self.log.error(f"{word} {self.upgrade.pid} {how}: this one goes on")
        self._held_stop = None
        self.upgrade.note_end()
        self.host.restore()
        if was_ready:
            self.herald.note_upgraded(os.getpid())

    def _report(self, worker: WorkerHandle, cause: str, done: Callable[[], None]) -> None:
        self.reporting.report(worker, cause, done)

    def _note_bug(self, error: Exception) -> None:
        """A mistake of ours in the parent's code: the workers are not to pay for it."""
        import traceback

        trace = "".join(traceback.format_exception(error)).rstrip()
        self.log.error(f"a bug in Bicorn, please report it; the server goes on:\n{trace}")

    def _enter(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            raise InternalError(f"the parent cannot go from {self.state.name} to {state.name}")
        self.state = state
        self.reporting.state = state.value


_HANDLERS = {
    signal.SIGTERM: Supervisor._on_end,
    signal.SIGINT: Supervisor._on_end,
    signal.SIGQUIT: Supervisor._on_end,
    signal.SIGHUP: Supervisor._on_reload,
    signal.SIGUSR1: Supervisor._on_reopen,
    signal.SIGUSR2: Supervisor._on_upgrade,
    signal.SIGWINCH: Supervisor._on_winch,
    signal.SIGTTIN: Supervisor._on_resize,
    signal.SIGTTOU: Supervisor._on_resize,
    signal.SIGCHLD: Supervisor._on_child,
}


def _wake() -> None:
    """The loop looks after every wait what there is to start."""
