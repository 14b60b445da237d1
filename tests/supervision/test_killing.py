"""Workers that are killed under load cost what they had in hand, and are followed; nobody outlives the parent."""

import os
import signal
import time
from contextlib import ExitStack

import pytest

from tests.supervision import told
from tests.supervision.conftest import SOAK, Figure, Start, only_of_killed
from tests.supervision.processes import wait_for_end, watched
from tests.support.load import load

KILLS, PAUSE = (30, 2.0) if SOAK else (3, 0.0)
REPLACED_WITHIN = 1.0 if SOAK else 10.0
GONE_WITHIN = 2.0


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["cold", "preloaded"])
def test_workers_that_are_killed(
    start: Start, interface: str, preload: tuple[str, ...], figure: Figure
) -> None:
    server = start(f"echo_{interface}", *preload)
    killed, slowest = set(), 0.0
    with load(server.address) as clients:
        serving = sorted(clients.wait_for_answers(each=5).workers)
        for _ in range(KILLS):
            # The one that has served for longest: one that had not lived is not followed at once.
            victim = serving.pop(0)
            killed.add(victim)
            mark, struck = len(server.log), time.monotonic()
            os.kill(victim, signal.SIGKILL)
            successor = int(server.wait_for_log(told.READY, after=mark)[1])
            result = clients.wait_for_worker(successor)
            slowest = max(slowest, result.workers[successor].first - struck)
            assert slowest <= REPLACED_WITHIN
            server.wait_for_log(told.end_of(victim, "SIGKILL"), after=mark)
            serving.append(successor)
            clients.go_on_for(max(0.0, PAUSE - (time.monotonic() - struck)))
        result = clients.result()
    only_of_killed(result, killed)
    figure(f"{KILLS} kills, {result.summary}, another answers after {slowest:.2f} s at most")
    assert server.stop() == 0, server.log


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["cold", "preloaded"])
def test_nobody_outlives_the_parent(start: Start, preload: tuple[str, ...], figure: Figure) -> None:
    server = start("echo_wsgi", *preload)
    with load(server.address) as clients, ExitStack() as watch:
        clients.wait_for_answers(each=5)
        held = watch.enter_context(watched(*server.workers()))
        server.signal(signal.SIGKILL)
        over = time.monotonic() + GONE_WITHIN
        for descriptor in held.values():
            assert wait_for_end(descriptor, max(0.0, over - time.monotonic()))
        figure(f"gone after {time.monotonic() - over + GONE_WITHIN:.3f} s")
        # Nor does anybody hold the port.
        result = clients.wait_for_failure()
        while "refused" not in result.kinds:
            result = clients.go_on_for(0.02)
