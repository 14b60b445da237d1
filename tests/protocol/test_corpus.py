"""Streams that a fuzzer found interesting in another server, against a running Bicorn.

Each is sent whole and in pieces. Every connection must end in well-formed responses or a close, before
the deadline of its socket; the server stays the process that it was, logs no traceback and keeps its size.
"""

import itertools
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocol.echo import converse, read_answers
from tests.support.server import Server, serving

ARCHIVE = Path(__file__).parents[3] / "shared" / "corpora" / "h2o-http1.tar.gz"

BY_BYTE = 512
"""Streams up to so many bytes are also sent byte by byte."""

GROWTH = 4 * 1024 * 1024
"""Bytes that the worker may grow by in the second pass, when the first has filled its caches."""

STATUSES = {200, 400, 408, 413, 414, 417, 431, 501, 505}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["app", "wsgi"])
def test_every_stream_ends_well_however_it_is_cut(name: str) -> None:
    if not ARCHIVE.is_file():
        pytest.skip(f"SKIPPED: there is no {ARCHIVE.name} beside this checkout")
    streams = list(read_streams())
    application = Path(__file__).with_name("empty.py")
    with serving(f"{application}:{name}", "--no-access-log") as server:
        workers = server.workers()
        replay(server, streams)
        before = resident(workers)
        replay(server, streams)
        grown = resident(workers) - before
        assert server.workers() == workers
        assert "Traceback" not in server.log
        assert grown < GROWTH, f"{grown} bytes"


def replay(server: Server, streams: list[tuple[str, bytes]]) -> None:
    """Sends each stream in each way; the cuts are the same in every run."""
    choose = random.Random(20260101)
    for name, data in streams:
        ways = [[data], data.splitlines(keepends=True), cut(data, choose)]
        if len(data) <= BY_BYTE:
            ways.append([bytes([byte]) for byte in data])
        for pieces in ways:
            answers = read_answers(converse(server.address, pieces))
            assert {answer.status for answer in answers} <= STATUSES, name


def cut(data: bytes, choose: random.Random) -> list[bytes]:
    places = sorted(choose.randrange(len(data) + 1) for _ in range(choose.randint(1, 8)))
    bounds = [0, *places, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def read_streams() -> Iterator[tuple[str, bytes]]:
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                yield member.name, file.read()


def resident(workers: list[int]) -> int:
    """The bytes that the workers hold in memory."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in workers)
    return pages * os.sysconf("SC_PAGE_SIZE")
