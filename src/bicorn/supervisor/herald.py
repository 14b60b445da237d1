"""Tells the world outside what happens here: the service manager, the operator's hooks, `ps`, and whoever waits for
the command of a server that goes to the background.

Owns who is told what, and when; how, stands in a file for each. Decides nothing, and nothing that it calls can fail.
"""

from __future__ import annotations

import os

from bicorn.supervisor.handle import WorkerState
from bicorn.supervisor.health import is_hung
from bicorn.supervisor.notify import Notifier, Watchdog
from bicorn.titles import INTERVAL, Title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn._native import Scoreboard
    from bicorn.config import Config
    from bicorn.hook_caller import HookCaller
    from bicorn.hooks import ServerView, WorkerView
    from bicorn.log.line import LineLog
    from bicorn.supervisor.daemon import Background
    from bicorn.supervisor.handle import WorkerHandle
    from bicorn.supervisor.loop import Loop
    from bicorn.supervisor.roster import Roster


class Herald:
    """`begin` comes first, `note_end` last; in a forked child `disown`."""

    def __init__(self, config: Config, log: LineLog, background: Background | None) -> None:
        """Raises `bicorn.errors.AppLoadError` for hooks that cannot be loaded."""
        self._hooks = _hooks(config, log)
        self._background = background
        self._title = Title(config)
        self._pid = os.getpid()

    def begin(self, loop: Loop, board: Scoreboard, roster: Roster) -> None:
        """The addresses are bound, and no worker has been started."""
        self._loop, self._board, self._roster = loop, board, roster
        self._notifier = Notifier(loop, os.environ)
        self._watchdog = Watchdog(loop, self._notifier, self._makes_progress)
        self._call("on_starting")
        self._refresh_title()

    def note_ready(self) -> None:
        """The first worker serves."""
        self._notifier.ready(self._status())
        self._watchdog.start()
        self._call("when_ready")
        if self._background is not None:
            self._background.note_serving()

    def note_fork(self, slot: int, generation: int) -> None:
        """A worker is about to be forked. What is told in the worker itself, the worker tells."""
        if self._hooks is not None and self._hooks.has("pre_fork"):
            from bicorn.hooks import WorkerView

            view = WorkerView(pid=0, slot=slot, generation=generation)
            self._hooks.call("pre_fork", self._view(), view)

    def note_worker_ready(self, worker: WorkerHandle) -> None:
        self._call("worker_ready", worker)
        self._notifier.status(self._status())

    def note_worker_exit(self, worker: WorkerHandle, cause: str) -> None:
        self._call("worker_exit", worker, cause)
        self._notifier.status(self._status())

    def note_reload(self) -> None:
        self._notifier.reloading()
        self._call("on_reload")

    def note_reload_ended(self, how: str) -> None:
        """``how`` is ``done``, or says why it failed: the former workers serve then."""
        self._notifier.ready(f"{self._status()}; last reload: {how}")

    def note_upgraded(self, pid: int) -> None:
        """Another parent serves, and is the service from now on; or this one is again."""
        self._notifier.main_pid(pid)

    def note_stopping(self) -> None:
        self._notifier.stopping()
        self._watchdog.stop()

    def note_end(self) -> None:
        """No worker is left."""
        self._call("on_exit")

    def disown(self) -> None:
        """In a forked child: the parent alone speaks for the server."""
        self._notifier.forget()
        if self._background is not None:
            self._background.disown()

    def successor_environment(self) -> dict[str, str]:
        """What a program that this process becomes by `exec` needs to speak for the service."""
        return self._notifier.environment(os.getpid())

    def _makes_progress(self) -> bool:
        """Whether a worker comes back to its loop, or is about to: with none at all there is nothing to wait for."""
        workers = list(self._roster.workers)
        return not workers or any(
            worker.state is WorkerState.STARTING or not self._is_stuck(worker) for worker in workers
        )

    def _is_stuck(self, worker: WorkerHandle) -> bool:
        counters = self._board.read(worker.slot)
        silence = self._loop.now() - counters["heartbeat_ms"] / 1000
        config = worker.generation.config
        if config.hang_timeout:
            return is_hung(config, silence)
        # Then an idle worker does not beat; one that has been in a single turn for so long is not idle.
        limit = 2 * (self._notifier.watchdog_interval or 0)
        return bool(counters["turn"]) and silence > limit

    def _status(self) -> str:
        serving = sum(worker.is_serving for worker in self._roster.workers)
        generation = self._roster.current.number
        workers = "1 worker serves" if serving == 1 else f"{serving} workers serve"
        return f"{workers} {self._roster.current.config.app}, generation {generation}"

    def _refresh_title(self) -> None:
        if not self._title.is_shown:
            return
        counters = [self._board.read(worker.slot) for worker in self._roster.workers]
        exchanges, connections = (
            sum(each[name] for each in counters) for name in ("exchanges", "connections")
        )
        self._title.show_parent(len(self._roster.places), exchanges, connections)
        self._loop.call_later(INTERVAL, self._refresh_title)

    def _call(self, name: str, worker: WorkerHandle | None = None, cause: str = "") -> None:
        if self._hooks is not None and self._hooks.has(name):
            views = () if worker is None else (self._view_of(worker, cause),)
            self._hooks.call(name, self._view(), *views)

    def _view(self) -> ServerView:
        from bicorn.hooks import ServerView

        current = self._roster.current
        workers = tuple(self._view_of(worker) for worker in self._roster.workers)
        return ServerView(
            pid=self._pid, config=current.config, generation=current.number, workers=workers
        )

    def _view_of(self, worker: WorkerHandle, cause: str = "") -> WorkerView:
        from bicorn.hooks import WorkerView

        return WorkerView(
            pid=worker.pid,
            slot=worker.slot,
            generation=worker.generation.number,
            age=worker.age(self._loop.now()),
            cause=cause,
        )


def _hooks(config: Config, log: LineLog) -> HookCaller | None:
    """What calls them is imported only where there are any."""
    if not config.hooks:
        return None
    from bicorn.hook_caller import load

    return load(config, log)
