"""A worker's life, from the fork to the exit status.

Loads the application and gives it to the host that fits; tells the parent when the host serves, or why it
cannot. How requests are served is the host's and the engine's.
"""

from __future__ import annotations

import enum
import gc
import io
import os
import signal
import sys

from bicorn._native import die_with_parent
from bicorn.errors import AppLoadError, InternalError, OperatorError
from bicorn.gateway.loading import LoadedApp, load_app
from bicorn.titles import WorkerTitle
from bicorn.worker import report
from bicorn.worker.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import FrameType

    from bicorn._native import Scoreboard
    from bicorn.config import Config
    from bicorn.hosts import Listener


class State(enum.Enum):
    """LOADING ─▶ STARTING ─▶ SERVING ─▶ DRAINING ─▶ STOPPING ─▶ ENDED; any of them may lead to ENDED at once."""

    LOADING = "loading the application"
    STARTING = "starting the application"
    SERVING = "serving"
    DRAINING = "finishing what is in flight"
    STOPPING = "shutting the application down"
    ENDED = "ended"


_NEXT = {
    State.LOADING: {State.STARTING, State.ENDED},
    # A worker may be told to stop before it has served.
    State.STARTING: {State.SERVING, State.STOPPING, State.ENDED},
    State.SERVING: {State.DRAINING, State.ENDED},
    State.DRAINING: {State.STOPPING, State.ENDED},
    State.STOPPING: {State.ENDED},
    State.ENDED: set[State](),
}


OF_THE_PARENT = (
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


class Inheritance:
    """What a worker has from its parent.

    ``listeners`` are bound, and are listened on when the application is ready; ``channel`` leads to the
    parent, whose process is ``parent``; ``board`` is the scoreboard and this worker's slot; ``reports`` is the
    pipe that the parent reads this worker's stacks from.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        channel: socket.socket,
        board: tuple[Scoreboard, int],
        parent: int,
        reports: int,
    ) -> None:
        self.listeners = listeners
        self.urls = [listener.url for listener in listeners]
        self.channel = Channel(channel)
        self.board = board
        self.parent = parent
        self.reports = reports


def serve(config: Config, inherited: Inheritance, loaded: LoadedApp | None = None) -> int:
    """Serves until the parent says that it is enough. Returns the exit status.

    ``loaded`` is the application where a template has imported it. Expects SIGTERM and SIGINT at their default: until
    the host has handlers of its own there is nothing to finish, and a signal that ends the server may end this
    process as it is.
    """
    die_with_parent(inherited.parent)
    # Of a terminal, or sent to the whole group: what they mean is the parent's to say. Not ignored, because
    # programs that the application runs would inherit that.
    for number in OF_THE_PARENT:
        signal.signal(number, left_to_the_parent)
    report.install(inherited.reports)
    print_whole_lines()
    _call_post_fork(config, inherited)
    try:
        return Worker(config, inherited, loaded).run()
    finally:
        # Nothing is left that a signal could hurry, and a second Control-C is no error.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, left_to_the_parent)


def _call_post_fork(config: Config, inherited: Inheritance) -> None:
    if not config.hooks:
        return
    from bicorn.hook_caller import load
    from bicorn.hooks import ServerView, WorkerView
    from bicorn.log.line import LineLog

    board, slot = inherited.board
    generation = board.read(slot)["generation"]
    # What the parent knows of its other workers is not this one's to know.
    server = ServerView(pid=inherited.parent, config=config, generation=generation)
    worker = WorkerView(pid=os.getpid(), slot=slot, generation=generation)
    load(config, LineLog(config.log_level)).call("post_fork", server, worker)


class Worker:
    """One worker process."""

    def __init__(
        self, config: Config, inherited: Inheritance, loaded: LoadedApp | None = None
    ) -> None:
        self.config = config
        self.inherited = inherited
        self.loaded = loaded
        self.state = State.LOADING
        self._banner = ""
        board, slot = inherited.board
        self._title = WorkerTitle(config, slot + 1, lambda: board.read(slot))

    def run(self) -> int:
        self._title.show(self.state.value)
        try:
            loaded = self.loaded or load_app(self.config)
            self._enter(State.STARTING)
            self._serve(loaded)
        except OperatorError as error:
            self.inherited.channel.failed(as_text(error), error.exit_status)
            self._enter(State.ENDED)
            return error.exit_status
        self._enter(State.ENDED)
        return 0

    def note_serving(self) -> None:
        self._enter(State.SERVING)
        self.inherited.channel.ready(self._banner)

    def note_draining(self) -> None:
        self._enter(State.DRAINING)
        self.inherited.channel.draining()

    def note_stopping(self) -> None:
        if self.state is State.STARTING:
            # There is nothing to drain.
            self.inherited.channel.draining()
        self._enter(State.STOPPING)

    def _serve(self, loaded: LoadedApp) -> None:
        from bicorn.banner import render
        from bicorn.hosts import Job, host_for
        from bicorn.log.setup import set_up

        host, loop_name = host_for(loaded.interface, self.config.loop)
        self._banner = render(loaded.info, self.config, self.inherited.urls, loop_name)
        job = Job(
            config=self.config,
            app=loaded.app,
            listeners=self.inherited.listeners,
            board=self.inherited.board,
            logger=set_up(self.config.log_level),
            worker=self,
        )
        # What was imported stays; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        host(job)

    def _enter(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            raise InternalError(f"a worker cannot go from {self.state.name} to {state.name}")
        self.state = state
        if state is State.SERVING:
            self._title.show_load(state.value)
        else:
            self._title.show(state.value)


def print_whole_lines() -> None:
    """Has what the application prints leave a line at a time: the access log goes to standard output too, and what
    is printed is wanted when it is printed."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, write_through=False)


def as_text(error: OperatorError) -> str:
    """The error for the parent: its last line is what is wrong, above it stands the application's own."""
    details = error.details.rstrip() if isinstance(error, AppLoadError) else ""
    return f"{details}\n{error}" if details else str(error)


def left_to_the_parent(_number: int, _frame: FrameType | None) -> None:
    pass
