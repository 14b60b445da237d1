"""One measurement of one server with one work, and medians of several."""

from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.suite.load import Load, LoadClient, loading
from benchmarks.suite.process import (
    CLIENT_CORE,
    SERVER_CORE,
    ServerProcess,
    core_seconds,
    serving,
)
from benchmarks.suite.servers import Server
from benchmarks.suite.works import Work

FOREIGN_MOST = 0.04
"""Share of either core that other processes may use before a measurement counts as disturbed."""


@dataclass(frozen=True)
class Bench:
    """What all measurements of a run share: the interpreter and the load client.

    A measurement that other processes disturb is repeated up to ``retries`` times.
    """

    python: str
    client: Path
    retries: int


@dataclass(frozen=True)
class Sample:
    """What was seen of a server. ``cpu_us`` is the processor time of one request.

    ``busy`` is the share of its core that the server used. ``foreign`` is the share that others used of this core
    or of the client's: they cost the server its caches, and a client that is held up lets the server fall asleep.
    """

    cpu_us: float
    rate: float
    p50_us: float
    p99_us: float
    rss: float
    pss: float
    busy: float
    foreign: float
    reconnects: float

    @property
    def disturbed(self) -> bool:
        return self.foreign > FOREIGN_MOST


def measure(bench: Bench, server: Server, work: Work, load: Load) -> Sample:
    """Starts the server, warms it up and measures; gives the least disturbed attempt. Raises `ServerFailed`."""
    sample = _attempt(bench, server, work, load)
    for _ in range(bench.retries):
        if not sample.disturbed:
            break
        again = _attempt(bench, server, work, load)
        sample = min(sample, again, key=lambda each: each.foreign)
    return sample


def medians(samples: list[Sample]) -> Sample:
    """The median of each figure by itself, over the undisturbed samples if there are any."""
    quiet = [sample for sample in samples if not sample.disturbed]
    columns = [asdict(sample) for sample in quiet or samples]
    return Sample(**{name: median(column[name] for column in columns) for name in columns[0]})


def _attempt(bench: Bench, server: Server, work: Work, load: Load) -> Sample:
    with (
        serving(server, work.apps.get(server.interface, ""), bench.python) as process,
        loading(bench.client, process.target, work, load) as client,
    ):
        before = _Clocks.read(process, client)
        tally = client.run()
        used = _Clocks.read(process, client).since(before)
        memory = process.memory()
    return Sample(
        cpu_us=used.server / tally.requests * 1e6,
        rate=tally.requests / tally.seconds,
        p50_us=tally.p50_us,
        p99_us=tally.p99_us,
        rss=memory.rss,
        pss=memory.pss,
        busy=used.server / tally.seconds,
        foreign=used.foreign() / tally.seconds,
        reconnects=tally.reconnects,
    )


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
