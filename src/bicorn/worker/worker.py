"""A worker's life, from the fork to the exit status.

Loads the application and gives it to the host that fits; tells the parent when the host serves, or why it
cannot. How requests are served is the host's and the engine's.
"""

from __future__ import annotations

import enum
import gc
import signal
import socket

from bicorn._native import Scoreboard, die_with_parent
from bicorn.errors import InternalError, OperatorError, explain
from bicorn.gateway.loading import LoadedApp, load_app
from bicorn.worker.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bicorn.config import Config


class State(enum.Enum):
    """LOADING ─▶ STARTING ─▶ SERVING ─▶ ENDED; a failure leads from the first two to ENDED."""

    LOADING = "loading the application"
    STARTING = "starting the application"
    SERVING = "serving"
    ENDED = "ended"


_NEXT = {
    State.LOADING: {State.STARTING, State.ENDED},
    State.STARTING: {State.SERVING, State.ENDED},
    State.SERVING: {State.ENDED},
    State.ENDED: set[State](),
}


class Inheritance:
    """What a worker has from its parent.

    ``sockets`` are bound, and are listened on when the application is ready; ``urls`` say where that is;
    ``board`` is the scoreboard and this worker's slot; ``parent`` is the parent's process.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        urls: Sequence[str],
        channel: socket.socket,
        board: tuple[Scoreboard, int],
        parent: int,
    ) -> None:
        self.sockets = sockets
        self.urls = urls
        self.channel = Channel(channel)
        self.board = board
        self.parent = parent


def serve(config: Config, inherited: Inheritance) -> int:
    """Serves until the parent says that it is enough. Returns the exit status."""
    die_with_parent(inherited.parent)
    # Until the host has handlers of its own, a signal that ends the server ends this process silently.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    return Worker(config, inherited).run()


class Worker:
    """One worker process."""

    def __init__(self, config: Config, inherited: Inheritance) -> None:
        self.config = config
        self.inherited = inherited
        self.channel = inherited.channel
        self.state = State.LOADING

    def run(self) -> int:
        try:
            loaded = load_app(self.config)
            self._enter(State.STARTING)
            self._serve(loaded)
        except OperatorError as error:
            self.channel.failed(
                explain(error).rstrip("\n").removeprefix("bicorn: "), error.exit_status
            )
            self._enter(State.ENDED)
            return error.exit_status
        self._enter(State.ENDED)
        return 0

    def _serve(self, loaded: LoadedApp) -> None:
        from bicorn.hosts import Job, host_for
        from bicorn.log.setup import set_up

        logger = set_up(self.config.log_level)
        host, loop_name = host_for(loaded.interface, self.config.loop)
        # What was imported stays; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        job = Job(
            config=self.config,
            app=loaded.app,
            sockets=self.inherited.sockets,
            board=self.inherited.board,
            logger=logger,
            ready=lambda: self._note_ready(loaded, loop_name),
        )
        host(job)

    def _note_ready(self, loaded: LoadedApp, loop_name: str) -> None:
        from bicorn.banner import render

        self._enter(State.SERVING)
        self.channel.ready(render(loaded.info, self.config, self.inherited.urls, loop_name))

    def _enter(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            raise InternalError(f"a worker cannot go from {self.state.value} to {state.value}")
        self.state = state
