"""The measurements beside the comparison: start, memory, idle connections, stalls, many connections, the log.

Each takes the servers that may take part, and yields lines of text, its verdicts last.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median

from benchmarks.suite import bars
from benchmarks.suite.load import Load, loading
from benchmarks.suite.measure import Bench, measure
from benchmarks.suite.process import fetch, serving, started
from benchmarks.suite.servers import Server, Target
from benchmarks.suite.works import WORKS

Servers = dict[str, Server]
Lines = Iterator[bars.Verdict | str]

STARTS = 10
ROUNDS = 3
ATTEMPTS = 10
"""Of a start or a stall, to meet a quiet machine."""
IDLE_CONNECTIONS = 5000
MANY_CONNECTIONS = 1000
STALL_APP = "benchmarks.apps.stall:app"
_HELLO = WORKS["hello"]


def start(bench: Bench, servers: Servers) -> Lines:
    """process start to first answer, median of 10"""
    times: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    for _ in range(STARTS):
        for server in _chosen(servers, "bicorn-asgi", "uvicorn", "granian-asgi"):
            clock, processor = _quiet_start(bench, server)
            times.setdefault(server.name, []).append(clock)
            used.setdefault(server.name, []).append(processor)
    for name in times:
        clock, processor = median(times[name]) * 1e3, median(used[name]) * 1e3
        yield f"{name:16} {clock:6.0f} ms, processor {processor:6.0f} ms"
    figures = {name: median(values) for name, values in times.items()}
    names = ("bicorn-asgi", "uvicorn")
    yield from _ratio("start: bicorn-asgi to uvicorn", figures, names, bars.START_MOST)


def _quiet_start(bench: Bench, server: Server) -> tuple[float, float]:
    """Seconds on the clock and of the processor, of the first start on a quiet core or of the last attempt."""
    for _ in range(ATTEMPTS):
        quiet = bench.pace.quiet()
        begin = time.perf_counter()
        with started(server, _app(server), bench.python) as process:
            process.wait_ready()
            figures = time.perf_counter() - begin, process.cpu_seconds()
        if quiet and bench.pace.quiet():
            break
    return figures


def memory(bench: Bench, servers: Servers) -> Lines:
    """proportional set size of all processes after 100 requests"""
    figures = {}
    for server in _chosen(servers, "bicorn-asgi", "uvicorn", "granian-asgi"):
        load = Load(connections=1, requests=100, window=60, warm_up=0)
        with (
            serving(server, _app(server), bench.python) as process,
            loading(bench.client, process.target, _HELLO, load) as client,
        ):
            client.run()
            seen = process.memory()
            figures[server.name] = float(seen.pss)
            yield (
                f"{server.name:16} PSS {seen.pss / 2**20:6.1f} MiB, RSS {seen.rss / 2**20:6.1f} MiB "
                f"in {len(process.pids())} processes"
            )
    yield from _ratio(
        "memory: bicorn-asgi to uvicorn", figures, ("bicorn-asgi", "uvicorn"), bars.MEMORY_MOST
    )


def idle(bench: Bench, servers: Servers) -> Lines:
    """resident bytes for each of 5,000 idle connections, after a request on each"""
    for server in _chosen(servers, "bicorn-asgi", "uvicorn", "granian-asgi"):
        few = Load(window=1, warm_up=0)
        many = Load(connections=IDLE_CONNECTIONS, warm_up=0)
        with serving(server, _app(server), bench.python, server.hold) as process:
            with loading(bench.client, process.target, _HELLO, few) as client:
                client.run()
            before = process.memory().rss
            with loading(bench.client, process.target, _HELLO, many):
                each = (process.memory().rss - before) / IDLE_CONNECTIONS
        if server.name == "bicorn-asgi":
            yield bars.within(f"idle: {server.name}", each, bars.IDLE_MOST_BYTES, "bytes")
        else:
            yield f"{server.name:16} {each:8.0f} bytes"


def stall(bench: Bench, servers: Servers) -> Lines:
    """longest time that a computing task waits for its next turn beside 1,000 ready connections"""
    for server in _chosen(servers, "bicorn-asgi", "bicorn-asyncio", "uvicorn"):
        gaps = [_longest_gap(bench, server) for _ in range(ROUNDS)]
        wall, thread = (median(gap[clock] for gap in gaps) for clock in ("wall_us", "thread_us"))
        yield f"{server.name:16} {wall:6.0f} us on the clock, {thread:6.0f} us of the thread's time"
        if server.package == "bicorn":
            yield bars.within(
                f"stall: {server.name}", thread, bars.STALL_MOST_US, "us of the thread"
            )


def _longest_gap(bench: Bench, server: Server) -> dict[str, float]:
    """The longest of the quiet runs, or of all where none was quiet."""
    load = Load(connections=MANY_CONNECTIONS, window=0.3)
    runs: list[tuple[bool, dict[str, float]]] = []
    with (
        serving(server, STALL_APP, bench.python) as process,
        loading(bench.client, process.target, _HELLO, load) as client,
    ):
        for _ in range(ATTEMPTS):
            quiet = bench.pace.quiet()
            fetch(process.target.port, "/gaps")
            client.run()
            gap = json.loads(fetch(process.target.port, "/gaps"))
            runs.append((quiet and bench.pace.quiet(), gap))
    counted = [gap for quiet, gap in runs if quiet] or [gap for _, gap in runs]
    return {clock: max(gap[clock] for gap in counted) for clock in counted[0]}


def connections(bench: Bench, servers: Servers) -> Lines:
    """processor time per request with 1,000 connections beside 64"""
    load = Load()
    names = ("bicorn-asgi", "bicorn-asyncio", "bicorn-wsgi", "nginx")
    for server in _chosen(servers, *names):
        crowd = replace(load, connections=MANY_CONNECTIONS)
        few, many = _costs(bench, [(server, load), (server, crowd)])
        yield f"{server.name:16} {few:6.2f} us with 64, {many:6.2f} us with {MANY_CONNECTIONS:,}"
        if server.package == "bicorn":
            ratio = many / few
            yield bars.within(f"connections: {server.name}", ratio, bars.MANY_CONNECTIONS_MOST)


def log(bench: Bench, servers: Servers) -> Lines:
    """processor time per request with the access log, to a file, beside none"""
    for server in _chosen(servers, "bicorn-asgi", "bicorn-wsgi"):
        logging = replace(server, command=_with_log(server))
        without, with_log = _costs(bench, [(server, Load()), (logging, Load())])
        yield f"{server.name:16} {without:6.2f} us without, {with_log:6.2f} us with the log"
        yield bars.within(f"log: {server.name}", with_log / without, bars.LOG_MOST)


FURTHER: dict[str, Callable[[Bench, Servers], Lines]] = {
    "start": start,
    "memory": memory,
    "idle": idle,
    "stall": stall,
    "connections": connections,
    "log": log,
}


def _chosen(servers: Servers, *names: str) -> Iterator[Server]:
    return (servers[name] for name in names if name in servers)


def _app(server: Server) -> str:
    return _HELLO.apps[server.interface]


def _costs(bench: Bench, ways: list[tuple[Server, Load]]) -> list[float]:
    """The median cost of `hello` each way, the ways taking turns."""
    rounds = [
        [measure(bench, server, _HELLO, load).cpu_us for server, load in ways]
        for _ in range(ROUNDS)
    ]
    return [median(column) for column in zip(*rounds, strict=True)]


def _ratio(
    subject: str, figures: dict[str, float], names: tuple[str, str], most: float
) -> Iterator[bars.Verdict]:
    own, peer = (figures.get(name) for name in names)
    if own is not None and peer is not None:
        yield bars.within(subject, own / peer, most)


def _with_log(server: Server) -> Callable[[Target], list[str]]:
    """The server's command with the access log on, written to a file of its own."""

    def command(target: Target) -> list[str]:
        words = [word for word in server.command(target) if word != "--no-access-log"]
        return [*words, "--access-log", "--access-log-file", str(target.directory / "access.log")]

    return command
