"""A new parent takes the listeners of the old one, and gives them back, under load: nobody is failed."""

import os
import signal
from contextlib import ExitStack

from tests.supervision import told
from tests.supervision.conftest import Code, Figure, Start
from tests.supervision.processes import until, wait_for_end, watched
from tests.support.load import load
from tests.support.server import Server


def upgraded(server: Server) -> int:
    """The process of a new parent, when its workers serve, as the old one's do too."""
    mark = len(server.log)
    server.signal(signal.SIGUSR2)
    successor = int(server.wait_for_log(told.NEW_PARENT, after=mark)[1])
    # Its first worker is told of by a banner, the second by a line.
    server.wait_for_log(rf"\[{successor}\].*{told.READY}", after=mark)
    return successor


def test_an_upgrade_fails_nobody(start: Start, code: Code, interface: str, figure: Figure) -> None:
    server = start(f"echo_{interface}")
    with load(server.address) as clients:
        version = code.change()
        successor = upgraded(server)
        clients.wait_for_version(version)
        server.signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        clients.wait_for_answers(each=20)
        result = clients.result()
        assert result.failed == 0, str(result)
        figure(result.summary)
        with watched(successor) as held:
            os.kill(successor, signal.SIGTERM)
            assert wait_for_end(held[successor])


def test_the_way_back_fails_nobody(
    start: Start, code: Code, interface: str, figure: Figure
) -> None:
    server = start(f"echo_{interface}")
    old = server.workers()
    with load(server.address) as clients, ExitStack() as watch:
        code.change()
        successor = upgraded(server)
        held = watch.enter_context(watched(successor, *old))
        server.signal(signal.SIGWINCH)
        for pid in old:
            assert wait_for_end(held[pid])
        clients.wait_for_answers(each=20)
        assert server.process.poll() is None
        version = code.change()
        server.signal(signal.SIGHUP)
        clients.wait_for_version(version)
        os.kill(successor, signal.SIGTERM)
        assert wait_for_end(held[successor])
        clients.wait_for_answers(each=20)
        result = clients.result()
    assert result.failed == 0, str(result)
    figure(result.summary)
    assert server.stop() == 0, server.log


def test_a_successor_that_cannot_start_changes_nothing(
    start: Start, code: Code, figure: Figure
) -> None:
    server = start("echo_wsgi")
    workers = server.workers()
    with load(server.address) as clients:
        code.spoil()
        mark = len(server.log)
        server.signal(signal.SIGUSR2)
        server.wait_for_log(told.OWN_ERROR, after=mark)
        server.wait_for_log(told.FAILED_UPGRADE, after=mark)
        clients.wait_for_answers(each=20)
        result = clients.result()
    assert result.failed == 0, str(result)
    figure(result.summary)
    until(lambda: server.workers() == workers)
    assert server.stop() == 0, server.log
