"""The status of the server, as data: what ``bicorn status`` asks the parent for.

Owns which facts there are and their names, which scripts rely on. How they are shown is the client's.
"""

from __future__ import annotations

from bicorn.supervisor.report import blocked_for
from bicorn.supervisor.stacks import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from bicorn.supervisor.report import Board, Subject

_COUNTED = ("connections", "accepted", "requests", "errors", "bytes_in", "bytes_out")


class Server:
    """The parent, as it knows itself. ``started`` is in seconds of the monotonic clock; ``last_reload`` says in a
    line how the last reload ended, and is empty before the first."""

    __slots__ = ("generation", "last_reload", "pid", "started", "state", "version")

    def __init__(
        self, *, pid: int, version: str, started: float, state: str, generation: int
    ) -> None:
        self.pid = pid
        self.version = version
        self.started = started
        self.state = state
        self.generation = generation
        self.last_reload = ""


def compose(
    server: Server,
    workers: Iterable[Subject],
    board: Board,
    memory_of: Callable[[int], int],
    now: float,
) -> dict[str, Any]:
    """Times are seconds, sizes bytes. ``memory_of`` gives those of a process."""
    return {
        "pid": server.pid,
        "version": server.version,
        "uptime": round(now - server.started, 3),
        "state": server.state,
        "generation": server.generation,
        "last_reload": printable(server.last_reload),
        "workers": [_of_worker(subject, board, memory_of, now) for subject in workers],
    }


def to_text(status: dict[str, Any]) -> str:
    """As it goes through the door: JSON, on one line."""
    # Only when somebody asks: the parent serves for months without.
    import json

    return json.dumps(status) + "\n"


def _of_worker(
    subject: Subject, board: Board, memory_of: Callable[[int], int], now: float
) -> dict[str, Any]:
    counters = board.read(subject.slot)
    return {
        "pid": subject.pid,
        "slot": subject.slot,
        "generation": subject.generation,
        "state": subject.state,
        "age": round(now - subject.started, 3),
        "blocked": round(blocked_for(subject, counters, now), 3),
        "in_flight": counters.get("exchanges", 0),
        "busy_threads": counters.get("busy_threads", 0),
        "lag": counters.get("lag_us", 0) / 1e6,
        "memory": memory_of(subject.pid),
        **{name: counters.get(name, 0) for name in _COUNTED},
    }
