"""Reloads under load, with the code changing between: nobody is failed, and nothing is left behind."""

import signal
import time
from collections import Counter
from contextlib import suppress

from tests.supervision import told
from tests.supervision.conftest import SOAK, Code, Figure, Start
from tests.supervision.processes import descriptors, threads, until, wait_for_end, watched
from tests.support.load import load
from tests.support.server import Server

RELOADS, PAUSE = (10, 5.0) if SOAK else (2, 0.0)
NEW_CODE_WITHIN = 3.0
"""Seconds from a new worker's readiness to its first answer."""
CLIENT_LAG = 1.0
"""Seconds for which an answer may lie in a client before it is looked at."""


def test_reloads_fail_nobody(start: Start, code: Code, interface: str, figure: Figure) -> None:
    server = start(f"echo_{interface}")
    before = holdings(server)
    slowest = 0.0
    with load(server.address) as clients:
        for _ in range(RELOADS):
            with watched(*server.workers()) as old:
                version, mark = code.change(), len(server.log)
                server.signal(signal.SIGHUP)
                server.wait_for_log(told.READY, after=mark)
                ready = time.monotonic()
                result = clients.wait_for_version(version)
                slowest = max(slowest, result.versions[version].first - ready)
                assert slowest <= NEW_CODE_WITHIN
                for descriptor in old.values():
                    assert wait_for_end(descriptor)
            ended = time.monotonic()
            result = clients.wait_for_answers(each=5)
            former = result.versions[str(code.number - 1)]
            assert former.last <= ended + CLIENT_LAG
            clients.go_on_for(PAUSE)
        result = clients.result()
    assert result.failed == 0, str(result)
    assert len(server.workers()) == 2
    with suppress(AssertionError):
        # What has just ended may not be closed yet.
        until(lambda: not grown(before, holdings(server)), limit=5.0)
    assert grown(before, holdings(server)) == []
    figure(f"{RELOADS} reloads, {result.summary}, new code after {slowest * 1000:.0f} ms at most")


Holdings = list[tuple[list[str], int]]


def holdings(server: Server) -> Holdings:
    """What the parent and each worker hold: descriptors by kind, and threads."""
    return [(descriptors(pid), threads(pid)) for pid in (server.pid, *server.workers())]


def grown(before: Holdings, now: Holdings) -> list[str]:
    """What is held that was not held before. A thread more than now there may have been at the start, where one
    that followed the start was about to end."""
    more_than_before = []
    for former, latter in zip(before, now, strict=True):
        more = Counter(latter[0]) - Counter(former[0])
        more_than_before += [f"{count} of {kind}" for kind, count in more.items()]
        if latter[1] > former[1]:
            more_than_before.append(f"{latter[1]} threads instead of {former[1]}")
    return more_than_before


def test_a_reload_that_fails_changes_nothing(start: Start, code: Code, interface: str) -> None:
    server = start(f"echo_{interface}")
    workers = server.workers()
    with load(server.address) as clients:
        code.spoil()
        mark = len(server.log)
        server.signal(signal.SIGHUP)
        server.wait_for_log(told.OWN_ERROR, after=mark)
        clients.wait_for_answers(each=20)
        # Another attempt begins where the first did, and takes the place of what is left of it.
        code.mend()
        version = code.change()
        assert server.workers()[:2] == workers
        server.signal(signal.SIGHUP)
        clients.wait_for_version(version)
        result = clients.result()
    assert result.failed == 0, str(result)
    assert server.log[mark:].count(f"\nRuntimeError: {told.OWN_ERROR}") == 1, server.log


def test_reloads_one_upon_the_other(start: Start, code: Code) -> None:
    """A reload that is asked for while another is under way: the last one's code is what serves in the end."""
    server = start("echo_wsgi")
    with load(server.address) as clients, watched(*server.workers()) as old:
        for _ in range(5):
            version = code.change()
            server.signal(signal.SIGHUP)
        clients.wait_for_version(version)
        for descriptor in old.values():
            assert wait_for_end(descriptor)
        result = clients.result()
    assert result.failed == 0, str(result)
