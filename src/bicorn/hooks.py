"""Hooks: what an operator's own Python does at events in the lives of the parent and its workers.

The interface, for whoever writes hooks: derive from `Hooks`, or write functions of the same names into a module, and
name it with ``--hooks MODULE:NAME``. How they are loaded and called is `bicorn.hook_caller`.

    from bicorn.hooks import Hooks, ServerView, WorkerView

    class Announce(Hooks):
        def when_ready(self, server: ServerView) -> None:
            ...

Imported by the parent, which lives for months: hooks must not import the application.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Never

    from bicorn.config import Config


class _View:
    """Read-only: a hook looks, and changes nothing in the parent."""

    __slots__: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"{type(self).__name__} is a view: {name} cannot be set")

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"

    def _fill(self, *values: object) -> None:
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)


class WorkerView(_View):
    """One worker process, as it is when the hook is called."""

    __slots__ = ("age", "cause", "generation", "pid", "slot")

    pid: int
    """Its process; 0 in ``pre_fork``, where it has none yet."""
    slot: int
    """Its place on the scoreboard."""
    generation: int
    """Which reload it belongs to: 1 from the start, one more after each reload."""
    age: float
    """Seconds since it was forked."""
    cause: str
    """Why it ended, in words, as the error log has it; empty while it lives."""

    def __init__(
        self, *, pid: int, slot: int, generation: int, age: float = 0.0, cause: str = ""
    ) -> None:
        self._fill(age, cause, generation, pid, slot)


class ServerView(_View):
    """The parent and its workers, as they are when the hook is called."""

    __slots__ = ("config", "generation", "pid", "workers")

    pid: int
    """The parent's process."""
    config: Config
    generation: int
    """1 from the start, one more with each reload."""
    workers: tuple[WorkerView, ...]
    """Those that live."""

    def __init__(
        self, *, pid: int, config: Config, generation: int, workers: tuple[WorkerView, ...] = ()
    ) -> None:
        self._fill(config, generation, pid, workers)


class Hooks:
    """Every hook, doing nothing.

    All but `post_fork` are called in the parent, whose loop waits for them: what takes time belongs elsewhere. An
    exception is logged and changes nothing.
    """

    def on_starting(self, server: ServerView) -> None:
        """The addresses are bound, and no worker has been started."""

    def when_ready(self, server: ServerView) -> None:
        """The first worker serves."""

    def pre_fork(self, server: ServerView, worker: WorkerView) -> None:
        """A worker is about to be forked."""

    def post_fork(self, server: ServerView, worker: WorkerView) -> None:
        """Called in the worker, just forked, before it imports the application."""

    def worker_ready(self, server: ServerView, worker: WorkerView) -> None:
        """A worker serves."""

    def worker_exit(self, server: ServerView, worker: WorkerView) -> None:
        """A worker has ended; ``worker.cause`` says how."""

    def on_reload(self, server: ServerView) -> None:
        """A reload begins: new workers are about to be started, the old ones still serve."""

    def on_exit(self, server: ServerView) -> None:
        """No worker is left, and the parent is about to end."""


NAMES = tuple(name for name in vars(Hooks) if not name.startswith("_"))
