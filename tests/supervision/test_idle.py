"""A server with nothing to do does next to nothing."""

import select

from tests.supervision.conftest import SOAK, Figure, Start
from tests.supervision.processes import processor_time, wakes, watched
from tests.support.server import Server

SECONDS = 60.0 if SOAK else 3.0
SHARE = 0.002
"""Of a core, for the parent and four workers."""
WAKES = 40
"""A second, of all together: each one looks at its clock now and then, so that one that hangs is known."""


def test_an_idle_server(start: Start, interface: str, figure: Figure) -> None:
    server = start(f"echo_{interface}", workers=4)
    pids = [server.pid, *server.workers()]
    assert len(pids) == 5
    time_before, wakes_before = sum(map(processor_time, pids)), sum(map(wakes, pids))
    observe(server)
    assert [server.pid, *server.workers()] == pids
    woken = (sum(map(wakes, pids)) - wakes_before) / SECONDS
    share = (sum(map(processor_time, pids)) - time_before) / SECONDS
    figure(f"{share:.3%} of a core, woken {woken:.0f} times a second")
    assert woken <= WAKES
    if SOAK:
        # In less time the kernel's own count is too coarse.
        assert share <= SHARE


def observe(server: Server) -> None:
    """Lets time pass, which is what is measured, as long as the server lives."""
    with watched(server.pid) as held:
        ended, _, _ = select.select([held[server.pid]], [], [], SECONDS)
    assert not ended, server.log
