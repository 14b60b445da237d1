"""Workers that have served enough, or have grown too large, are followed by others: nobody is failed."""

import threading

from tests.supervision.conftest import SOAK, Figure, Start
from tests.supervision.processes import share_of_memory, until, wait_for_end, watched
from tests.support.load import load
from tests.support.server import Server

MIB = 1 << 20


def test_workers_that_have_served_enough(start: Start, interface: str, figure: Figure) -> None:
    server = start(f"echo_{interface}", "--max-requests=500", "--max-requests-jitter=50")
    # Not as fast as can be: how much a worker answers beyond its limit, until it is looked at, is up to the rate.
    with load(server.address, rate=1000) as clients:
        if SOAK:
            clients.go_on_for(60.0)
        else:
            # Each was replaced at least once.
            until(lambda: len(clients.wait_for_answers(each=5).workers) >= 4)
        result = clients.result()
    assert result.failed == 0, str(result)
    assert len(result.workers) >= (20 if SOAK else 4)
    until(lambda: len(server.workers()) == 2)
    most = max(seen.count for seen in result.workers.values())
    assert most <= 550 + 500, result.workers
    figure(f"{len(result.workers)} workers of {most} requests at most, {result.summary}")


def test_workers_that_leak(start: Start, figure: Figure) -> None:
    cap, rate = (200, 40) if SOAK else (90, 40)
    server = start("leaking", f"--max-memory={cap}MiB")
    with (
        watched(*server.workers()) as first,
        Gauge(server) as gauge,
        load(server.address, rate=rate) as clients,
    ):
        clients.go_on_for(60.0 if SOAK else 0.0)
        for descriptor in first.values():
            assert wait_for_end(descriptor)
        result = clients.result()
    assert result.failed == 0, str(result)
    assert gauge.most <= 2 * cap * MIB * 1.2, f"{gauge.most / MIB:.0f} MiB"
    count = len(result.workers)
    figure(f"{count} workers, {gauge.most / MIB:.0f} MiB at most of {2 * cap}, {result.summary}")


class Gauge:
    """The most memory that a server and its children have had together, looked at twenty times a second."""

    def __init__(self, server: Server) -> None:
        self.most = 0
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Gauge":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            pids = [self._server.pid, *self._server.workers()]
            self.most = max(self.most, sum(map(share_of_memory, pids)))
