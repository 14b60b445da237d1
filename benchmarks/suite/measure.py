"""One measurement of one server with one work, and medians of several."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.suite.load import Load, LoadClient, Tally, loading
from benchmarks.suite.pace import Pace
from benchmarks.suite.process import (
    CLIENT_CORE,
    SERVER_CORE,
    ServerProcess,
    core_seconds,
    serving,
)
from benchmarks.suite.servers import Server
from benchmarks.suite.works import Work

FOREIGN_MOST = 0.015
"""Seconds of either core that other processes may use in a window; the kernel counts ticks of 10 ms."""
LEAST_WINDOWS = 3
"""A measurement with fewer quiet windows is disturbed."""


@dataclass(frozen=True)
class Bench:
    """What all measurements of a run share: interpreter, load client, and how to tell that the machine is quiet.

    ``patience`` is how many times longer than asked a measurement may take to find quiet windows.
    """

    python: str
    client: Path
    pace: Pace
    patience: float


@dataclass(frozen=True)
class Sample:
    """The medians of a measurement's quiet windows, or of all its windows where it is ``disturbed``.

    ``cpu_us`` is the processor time of one request, ``busy`` the share of its core that the server used.
    """

    cpu_us: float
    rate: float
    p50_us: float
    p99_us: float
    rss: float
    pss: float
    busy: float
    reconnects: float
    disturbed: bool


@dataclass(frozen=True)
class Window:
    """A tenth of a second of load. ``cpu`` is the server's processor time in it, in seconds."""

    tally: Tally
    cpu: float
    quiet: bool


def measure(bench: Bench, server: Server, work: Work, load: Load) -> Sample:
    """Starts the server, warms it up and measures. Raises `ServerFailed`."""
    with (
        serving(server, work.apps.get(server.interface, ""), bench.python) as process,
        loading(bench.client, process.target, work, load) as client,
    ):
        windows = _windows(bench, process, client, load)
        memory = process.memory()
    quiet = [window for window in windows if window.quiet]
    disturbed = len(quiet) < LEAST_WINDOWS
    counted = windows if disturbed else quiet
    return Sample(
        cpu_us=median(window.cpu / window.tally.requests for window in counted) * 1e6,
        rate=median(window.tally.requests / window.tally.seconds for window in counted),
        p50_us=median(window.tally.p50_us for window in counted),
        p99_us=median(window.tally.p99_us for window in counted),
        rss=memory.rss,
        pss=memory.pss,
        busy=median(window.cpu / window.tally.seconds for window in counted),
        reconnects=median(window.tally.reconnects / window.tally.requests for window in counted),
        disturbed=disturbed,
    )


def medians(samples: list[Sample]) -> Sample:
    """The median of each figure by itself, over the undisturbed samples if there are any."""
    quiet = [sample for sample in samples if not sample.disturbed]
    columns = [asdict(sample) for sample in quiet or samples]
    figures = {name: median(column[name] for column in columns) for name in columns[0]}
    return Sample(**{**figures, "disturbed": not quiet})


def _windows(bench: Bench, process: ServerProcess, client: LoadClient, load: Load) -> list[Window]:
    """Loads the server until the quiet windows make up the time that was asked for, or patience ends."""
    windows: list[Window] = []
    deadline = time.monotonic() + load.seconds * bench.patience
    missing = load.seconds
    quiet_before = bench.pace.quiet()
    while missing > 0 and time.monotonic() < deadline:
        before = _Clocks.read(process, client)
        tally = client.run()
        used = _Clocks.read(process, client).since(before)
        quiet_after = bench.pace.quiet()
        quiet = quiet_before and quiet_after and used.foreign() <= FOREIGN_MOST
        windows.append(Window(tally, used.server, quiet))
        missing -= tally.seconds if quiet else 0.0
        quiet_before = quiet_after
    return windows


@dataclass(frozen=True)
class _Clocks:
    """Seconds of processor time: of the two sides, and of their cores whoever used them."""

    server: float
    client: float
    server_core: float
    client_core: float

    @classmethod
    def read(cls, process: ServerProcess, client: LoadClient) -> "_Clocks":
        return cls(
            process.cpu_seconds(),
            client.cpu_seconds(),
            core_seconds(SERVER_CORE),
            core_seconds(CLIENT_CORE),
        )

    def since(self, before: "_Clocks") -> "_Clocks":
        return _Clocks(
            self.server - before.server,
            self.client - before.client,
            self.server_core - before.server_core,
            self.client_core - before.client_core,
        )

    def foreign(self) -> float:
        """What others used of the core where they used more."""
        return max(0.0, self.server_core - self.server, self.client_core - self.client)
