"""How fast the server's core is at the moment.

On a virtual machine a core is often one of two threads of a real one: while the neighbour computes, everything
here takes up to twice the processor time, and nothing in /proc shows it. A fixed piece of work, timed, does.
"""

import time

from benchmarks.suite.process import SERVER_CORE, on_core

SLOWER_MOST = 1.2
"""How much longer than at its fastest the piece of work may take on a core that counts as quiet."""

_PIECE = 40_000
_CALIBRATIONS, _CALIBRATION_PAUSE = 250, 0.015


class Pace:
    """Knows the core's best speed, from some seconds at the start and from every question since."""

    def __init__(self) -> None:
        self._best = _piece()
        for _ in range(_CALIBRATIONS):
            time.sleep(_CALIBRATION_PAUSE)
            self._best = min(self._best, _piece())

    def quiet(self) -> bool:
        """Whether the core is at its best speed now, and no other process in the way."""
        now = _piece()
        self._best = min(self._best, now)
        return now <= self._best * SLOWER_MOST


def _piece() -> float:
    """Seconds on the clock for the fixed work, on the server's core."""
    with on_core(SERVER_CORE):
        begin = time.perf_counter()
        total = 0
        for number in range(_PIECE):
            total += number
        return time.perf_counter() - begin
