"""Requests are spread over the workers, on connections kept and new, and nobody waits for one that is blocked."""

import pytest

from tests.process.conftest import Fifo
from tests.supervision.conftest import SOAK, Figure, Start
from tests.support.load import load
from tests.support.wire import Wire, request

WORKERS = 4
REQUESTS = 100_000 if SOAK else 8_000
WITHIN = 0.10
SOON = 2.0
"""Seconds: less than a worker is blocked for, more than a busy machine takes over an answer."""


@pytest.mark.parametrize(("kind", "clients"), [("keep-alive", 100), ("fresh", 8)])
def test_each_has_its_share(
    start: Start, interface: str, kind: str, clients: int, figure: Figure
) -> None:
    server = start(f"echo_{interface}", workers=WORKERS)
    with load(server.address, {kind: clients}, count=REQUESTS // clients) as work:
        result = work.result()
    assert result.failed == 0, str(result)
    shares = [seen.count * WORKERS / REQUESTS for seen in result.workers.values()]
    figure(f"{REQUESTS} requests, shares {min(shares):.3f} to {max(shares):.3f}")
    assert len(shares) == WORKERS
    assert max(shares) <= 1 + WITHIN, shares
    assert min(shares) >= 1 - WITHIN, shares


def test_nobody_waits_for_a_worker_that_is_blocked(
    start: Start, fifo: Fifo, figure: Figure
) -> None:
    server = start("echo_wsgi", workers=WORKERS)
    with Wire(server.address) as blocking:
        blocking.send(request("/slow/one"))
        server.wait_for_log("app is slow")
        # The clients begin when the worker is blocked, so that none of them is in its hands already.
        with load(server.address, {"keep-alive": 8, "fresh": 4}) as clients:
            clients.go_on_for(5.0 if SOAK else 1.0)
            result = clients.result()
        fifo.release()
        assert blocking.answer().status == 200
    assert result.failed == 0, str(result)
    figure(f"{result.summary}, longest {max(result.longest.values()) * 1000:.0f} ms")
    assert max(result.longest.values()) < SOON, str(result)
    assert len(result.workers) == WORKERS - 1
