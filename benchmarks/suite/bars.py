"""The bars: how much Bicorn may cost beside its peers. Nothing else in the benchmarks names a limit."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.suite.compare import Results

BEST_PEER = "the best peer"


@dataclass(frozen=True)
class Bar:
    """Processor time per request of ``server`` at ``work`` is at most ``most`` times that of ``peer``."""

    work: str
    server: str
    peer: str
    most: float


@dataclass(frozen=True)
class Verdict:
    """A bar, said in words, and whether it was met; ``None`` where something for it was not measured."""

    text: str
    met: bool | None

    def __str__(self) -> str:
        word = {True: "met   ", False: "MISSED", None: "unseen"}[self.met]
        return f"{word}  {self.text}"


_ASGI, _WSGI = "bicorn-asgi", "bicorn-wsgi"

BARS = (
    Bar("hello", _ASGI, "nginx", 1.25),
    Bar("hello", _ASGI, "granian-asgi", 0.5),
    Bar("hello", _ASGI, "uvicorn", 0.4),
    Bar("browser", _ASGI, "nginx", 1.3),
    Bar("browser", _ASGI, "granian-asgi", 0.5),
    Bar("echo1k", _ASGI, "uvicorn", 0.45),
    Bar("big", _ASGI, "granian-asgi", 0.85),
    Bar("stream", _ASGI, "granian-asgi", 0.35),
    Bar("fastapi", _ASGI, "granian-asgi", 0.75),
    Bar("django", _ASGI, BEST_PEER, 1.0),
    Bar("hello", _WSGI, "bjoern", 0.92),
    Bar("hello", _WSGI, "nginx", 1.05),
    Bar("browser", _WSGI, "fastwsgi", 0.82),
    Bar("echo1k", _WSGI, "bjoern", 0.95),
    Bar("big", _WSGI, "granian-wsgi", 0.85),
    Bar("big", _WSGI, "fastwsgi", 1.0),
    Bar("stream", _WSGI, "granian-wsgi", 0.3),
    Bar("flask", _WSGI, "granian-wsgi", 0.82),
    Bar("flask", _WSGI, "bjoern", 1.03),
    Bar("django", _WSGI, BEST_PEER, 1.0),
    *(
        Bar(work, "bicorn-asyncio", _ASGI, 1.1)
        for work in ("hello", "browser", "echo1k", "big", "stream", "fastapi", "django")
    ),
)

# The further measurements: ratios to the figure named, unless a unit says otherwise.
MANY_CONNECTIONS_MOST = 1.15
"""1,000 connections to 64: processor time per request."""
START_MOST = 0.75
"""Bicorn to Uvicorn: process start to first answer."""
MEMORY_MOST = 1.0
"""Bicorn's parent and worker to one Uvicorn process: proportional set size."""
IDLE_MOST_BYTES = 600
"""Resident bytes for each idle keep-alive connection."""
STALL_MOST_US = 3000
"""Microseconds that a task is kept waiting beside 1,000 ready connections."""
LOG_MOST = 1.12
"""Access log to a file, to no access log: processor time per request."""


def verdicts(results: Results, peers: dict[str, list[str]]) -> Iterator[Verdict]:
    """Judges the bars that the results have figures for.

    ``peers`` gives the rivals of each Bicorn server, for the bars that speak of the best.
    """
    for bar in BARS:
        if results.get(bar.work, bar.server) is None:
            continue
        peer, ratio = _ratio(bar, results, peers)
        if ratio is None:
            yield Verdict(f"{bar.work:8} {bar.server:15} to {bar.peer}: not measured", None)
        else:
            yield within(f"{bar.work:8} {bar.server:15} to {peer}", ratio, bar.most)


def within(subject: str, figure: float, most: float, unit: str = "x") -> Verdict:
    """The verdict on a figure with an upper bar."""
    shown = f"{figure:.3f}" if unit == "x" else f"{figure:.0f}"
    return Verdict(f"{subject}: {shown} {unit} (at most {most:g})", figure <= most)


def _ratio(bar: Bar, results: Results, peers: dict[str, list[str]]) -> tuple[str, float | None]:
    """The peer of a bar by name, and the ratio to it. The best peer is the one that makes the ratio largest."""
    if bar.peer != BEST_PEER:
        return bar.peer, results.ratio(bar.work, bar.server, bar.peer)
    ratios = [
        (ratio, peer)
        for peer in peers[bar.server]
        if (ratio := results.ratio(bar.work, bar.server, peer)) is not None
    ]
    if not ratios:
        return bar.peer, None
    ratio, peer = max(ratios)
    return f"{peer}, {bar.peer}", ratio
