"""What fuzzers found in other servers, against this one as it runs: each stream ends in well-formed responses or
a close, the same however it is cut, and the worker neither ends nor grows nor logs a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.corpora.replay import (
    Outcome,
    Stream,
    at_random,
    by_byte,
    by_line,
    load,
    replay,
    whole,
)
from tests.support.server import Server, serving

HERE = Path(__file__).parent

IMPATIENT = ["--header-timeout=1s", "--keep-alive-timeout=500ms", "--body-rate-grace=1s"]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GROWTH = 2 * 1024 * 1024
"""Bytes of resident memory that a pass over a corpus may add to a warm worker: the slack of its allocators."""

Statuses = dict[str, list[int] | None]


@contextmanager
def echo(interface: str, *options: str) -> Iterator[Server]:
    with serving(f"apps:{interface}", "--no-access-log", *options, cwd=HERE) as running:
        workers = running.workers()
        yield running
        assert running.workers() == workers
    assert "Traceback" not in running.log, running.log
    assert "panicked" not in running.log, running.log


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def interface(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(interface: str, corpora: Path) -> Iterator[Server]:
    with echo(interface) as running:
        yield running


@pytest.fixture(scope="session")
def http1(corpora: Path) -> list[Stream]:
    return load(corpora / "h2o-http1.tar.gz")


@pytest.fixture(scope="module")
def statuses(server: Server, http1: list[Stream]) -> Statuses:
    """What each stream leads to when it comes whole."""
    return faultless(replay(server.address, http1))


def test_whole(statuses: Statuses) -> None:
    known = {100, 200, 400, 408, 413, 414, 417, 431, 501, 505}
    met = {status for each in statuses.values() for status in each or ()}
    assert met <= known
    # The corpus reaches the application, and the refusals.
    assert {200, 400} <= met


def test_cut_by_line(server: Server, http1: list[Stream], statuses: Statuses) -> None:
    assert_alike(faultless(replay(server.address, http1, by_line)), statuses)


@pytest.mark.parametrize("seed", range(4))
def test_cut_at_random(server: Server, http1: list[Stream], statuses: Statuses, seed: int) -> None:
    assert_alike(faultless(replay(server.address, http1, at_random(seed))), statuses)


def test_cut_by_byte(server: Server, http1: list[Stream], statuses: Statuses) -> None:
    assert_alike(faultless(replay(server.address, http1[::5], by_byte)), statuses)


def test_a_client_that_waits(interface: str, http1: list[Stream], statuses: Statuses) -> None:
    """Which never says that it is done: what is missing is waited for as long as the timeouts say."""
    with echo(interface, *IMPATIENT) as server:
        waited = faultless(replay(server.address, http1, end=False))
    in_time = {
        name: each[:-1] if each and each[-1] == 408 else each for name, each in waited.items()
    }
    assert_alike(in_time, statuses)


@pytest.mark.parametrize("archive", ["h2o-http2.tar.gz", "nghttp2-h2spec-streams.tar.gz"])
def test_http2(server: Server, corpora: Path, archive: str) -> None:
    """HTTP/2 is not spoken here: its preface is refused, with one answer, and the connection closed."""
    streams = load(corpora / archive)
    outcomes = faultless(replay(server.address, streams))
    assert_alike(faultless(replay(server.address, streams, at_random(0))), outcomes)
    refused = {stream.name for stream in streams if stream.data.startswith(PREFACE)}
    assert len(refused) > len(streams) // 2
    assert all(outcomes[name] in ([505], [400]) for name in refused)


def test_memory_stays_flat(server: Server, http1: list[Stream], statuses: Statuses) -> None:
    (worker,) = server.workers()
    before = resident(worker)
    for cut in (whole, by_line, at_random(5), whole):
        faultless(replay(server.address, http1, cut))
    assert resident(worker) - before < GROWTH


def faultless(outcomes: list[Outcome]) -> Statuses:
    faults = [(outcome.name, outcome.fault) for outcome in outcomes if outcome.fault]
    assert not faults, (len(faults), faults[:5])
    return {outcome.name: outcome.statuses for outcome in outcomes}


def assert_alike(found: Statuses, expected: Statuses) -> None:
    """But for answers that were lost to a reset, which `replay` judges."""
    differing = {
        name: (each, expected[name])
        for name, each in found.items()
        if each is not None and expected[name] is not None and each != expected[name]
    }
    assert not differing


def resident(process: int) -> int:
    """Bytes."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {process} has no memory")
