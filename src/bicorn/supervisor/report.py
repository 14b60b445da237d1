"""The report of a worker: what it is doing, and, in one line at the top, what is wrong.

Owns the words. The facts come from the parent, the scoreboard and the worker's own answer, all given; what strangers
have a say in, such as paths, is made harmless on a terminal.
"""

from __future__ import annotations

from bicorn.supervisor.stacks import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from bicorn.supervisor.stacks import Stacks, Thread

    Request = tuple[str, str, str, str, int]
    """Its identity, method, path, peer, and age in milliseconds."""

    class Board(Protocol):
        """The scoreboard, as `bicorn._native.Scoreboard` is one."""

        def read(self, slot: int, /) -> dict[str, int]: ...
        def requests(self, slot: int, /) -> Sequence[Request]: ...


LATE = 1.0
"""Seconds that a worker may be away from its loop before a report calls it blocked."""
BEATS_MISSED = 4
"""Heartbeats after which it does so sooner, where they come often."""
MOST_REQUESTS = 50
"""Requests in flight that are listed, the oldest first."""


class Subject:
    """The worker that a report is of, as its parent knows it.

    ``started`` is in seconds of the monotonic clock; ``state`` is a word; ``beat_interval`` is how often it shows at
    least that it is alive, in seconds, or 0 where it need not.
    """

    __slots__ = ("beat_interval", "generation", "pid", "slot", "started", "state")

    def __init__(
        self,
        pid: int,
        slot: int,
        generation: int,
        started: float,
        state: str,
        *,
        beat_interval: float = 0.0,
    ) -> None:
        self.pid = pid
        self.slot = slot
        self.generation = generation
        self.started = started
        self.state = state
        self.beat_interval = beat_interval


def render(subject: Subject, board: Board, stacks: Stacks, now: float) -> str:
    """The report, of whole lines; the first says what is wrong, as far as that can be known."""
    counters = board.read(subject.slot)
    requests = sorted(board.requests(subject.slot), key=lambda request: -request[4])
    lines = [
        summary(subject, counters, requests, stacks, now),
        *_facts(subject, counters, now),
        *_requests(requests),
        *_threads(stacks),
        *_tasks(stacks),
    ]
    return "\n".join(lines) + "\n"


def summary(
    subject: Subject,
    counters: dict[str, int],
    requests: Sequence[Request],
    stacks: Stacks,
    now: float,
) -> str:
    """What is wrong, in one line: ``worker 7 has not come back for 30.2 s: File ..., doing GET /slow``."""
    late = blocked_for(subject, counters, now)
    told = f"worker {subject.pid} {_condition(subject, counters, stacks.trouble, now)}"
    main = stacks.main_thread
    frame = main.application_frame() if main is not None else None
    if frame is not None:
        told += f": {frame.text}"
    doing = _known(stacks.doing, requests) or _oldest(requests)
    return f"{told}, doing {doing}" if doing and (late or frame) else told


def blocked_for(subject: Subject, counters: dict[str, int], now: float) -> float:
    """Seconds for which the worker has been away from its loop; 0 where it is not late."""
    beat = counters.get("heartbeat_ms", 0) / 1000
    # Between two turns it waits for something to happen, and may wait long if it need not show itself.
    if not beat or not (counters.get("turn") or subject.beat_interval):
        return 0.0
    allowed = min(LATE, BEATS_MISSED * subject.beat_interval or LATE)
    return now - beat if now - beat >= allowed else 0.0


def _condition(subject: Subject, counters: dict[str, int], trouble: str, now: float) -> str:
    late = blocked_for(subject, counters, now)
    if late:
        return f"has not come back for {late:.1f} s" + (f": it {trouble}" if trouble else "")
    if trouble:
        return f"({subject.state}) {trouble}"
    if not counters.get("heartbeat_ms") and subject.state != "serving":
        # It has never come to serve, also where its parent ends it for that.
        return f"has been starting for {now - subject.started:.1f} s"
    return f"({subject.state}) is not blocked"


def _known(doing: str, requests: Sequence[Request]) -> str:
    """The request that Python has named, with its identity where it is only one that can be meant."""
    meant = [one[0] for one in requests if printable(f"{one[1]} {one[2]}") == doing]
    return f"{doing} (request {printable(meant[0])})" if len(meant) == 1 else doing


def _oldest(requests: Sequence[Request]) -> str:
    if not requests:
        return ""
    identity, method, path, _, _ = requests[0]
    others = f" and {_counted(len(requests) - 1, 'other')}" if len(requests) > 1 else ""
    return printable(f"{method} {path} (request {identity})") + others


def _facts(subject: Subject, counters: dict[str, int], now: float) -> Iterator[str]:
    def count(name: str) -> int:
        return counters.get(name, 0)

    age = now - subject.started
    yield (
        f"  worker {subject.pid}: {subject.state}, slot {subject.slot}, "
        f"generation {subject.generation}, {age:.1f} s old"
    )
    beat = count("heartbeat_ms") / 1000
    if beat:
        where = "in a turn of its loop" if count("turn") else "between two turns of its loop"
        yield f"  last sign of life {max(0.0, now - beat):.1f} s ago, {where}"
    yield (
        f"  {_counted(count('connections'), 'connection')}, "
        f"{_counted(count('exchanges'), 'request')} in hand, "
        f"{count('requests')} answered, {_counted(count('errors'), 'error')}, "
        f"{_counted(count('busy_threads'), 'busy thread')}, lag {count('lag_us') / 1000:.1f} ms"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _requests(requests: Sequence[Request]) -> Iterator[str]:
    if not requests:
        return
    yield f"requests in flight, {len(requests)}:"
    for identity, method, path, peer, age in requests[:MOST_REQUESTS]:
        yield "  " + printable(f"{identity} {method} {path} from {peer}, {age / 1000:.1f} s")
    if len(requests) > MOST_REQUESTS:
        yield f"  and {len(requests) - MOST_REQUESTS} more"


def _threads(stacks: Stacks) -> Iterator[str]:
    if stacks.threads:
        yield "stacks of its threads, most recent call first:"
    for thread in stacks.threads:
        yield f"  {_name(thread)}"
        for frame in thread.own_frames():
            yield f"    {frame.text}"
    if stacks.threads and not stacks.is_python_running:
        yield "  the interpreter ran nothing when it was asked to: a call in C holds it, or does not return"


def _name(thread: Thread) -> str:
    return f"main thread {thread.identity:#x}" if thread.is_main else f"thread {thread.identity:#x}"


def _tasks(stacks: Stacks) -> Iterator[str]:
    if stacks.tasks:
        yield "asyncio tasks:"
    for line in stacks.tasks:
        yield f"  {line}"
