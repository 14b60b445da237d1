"""Process titles, which `ps` and `top` show: the role of a process, its generation and its load.

Only with the package setproctitle, which is optional; without it, or with an empty ``--process-title``, all of this
does nothing. Owns the wording. What there is to say is asked of whoever owns it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from bicorn.config import Config

    Counters = Callable[[], dict[str, int]]

INTERVAL = 5.0
"""Seconds between two looks at the load."""


class Title:
    """The title of this process."""

    def __init__(self, config: Config) -> None:
        self._name = config.process_title
        self._app = config.app
        self._setter = _setter() if self._name else None
        self._shown = ""

    @property
    def is_shown(self) -> bool:
        """Whether it is worth the trouble to find out what to show."""
        return self._setter is not None

    def show_parent(self, workers: int, exchanges: int, connections: int) -> None:
        """``bicorn: parent shop:app [3 workers, 12 requests, 340 connections]``"""
        counts = ", ".join(
            (
                _counted(workers, "worker"),
                _counted(exchanges, "request"),
                _counted(connections, "connection"),
            )
        )
        self._show(f"parent {self._app} [{counts}]")

    def show_worker(self, number: int, generation: int, state: str) -> None:
        """``bicorn: worker 2 gen 4 shop:app [serving]``"""
        self._show(f"worker {number} gen {generation} {self._app} [{state}]")

    def show_role(self, role: str) -> None:
        """``bicorn: template gen 4 shop:app``, for any other process."""
        self._show(f"{role} {self._app}")

    def _show(self, text: str) -> None:
        if self._setter is not None and text != self._shown:
            self._setter(f"{self._name}: {text}")
            self._shown = text


class WorkerTitle:
    """A worker's title: its state, and while it serves its load too.

    The load is looked at in a thread, which is there only where titles are: the loops of the hosts have no common
    timer, and one of theirs would wake the application's loop.
    """

    def __init__(self, config: Config, number: int, counters: Counters) -> None:
        self._title = Title(config)
        self._number = number
        self._counters = counters
        self._end: threading.Event | None = None

    def show(self, state: str) -> None:
        """A new state, in a word or two. The load is not shown any more."""
        if self._end is not None:
            self._end.set()
            self._end = None
        self._show(state, self._counters() if self._title.is_shown else {})

    def show_load(self, state: str) -> None:
        """The state, with the requests and connections of the moment, until the next `show`."""
        self.show(state)
        if not self._title.is_shown:
            return
        import threading

        self._end = threading.Event()
        threading.Thread(
            target=self._follow, args=(state, self._end), name="bicorn-title", daemon=True
        ).start()

    def _follow(self, state: str, end: threading.Event) -> None:
        while not end.wait(INTERVAL):
            counters = self._counters()
            load = f"{state}, {_counted(counters['exchanges'], 'request')}, "
            self._show(load + _counted(counters["connections"], "connection"), counters)

    def _show(self, state: str, counters: dict[str, int]) -> None:
        self._title.show_worker(self._number, counters.get("generation", 0), state)


def _setter() -> Callable[[str], None] | None:
    try:
        from setproctitle import setproctitle
    except ImportError:
        return None
    set_title: Callable[[str], None] = setproctitle
    return set_title


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
