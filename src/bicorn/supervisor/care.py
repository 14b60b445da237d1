"""Looking after workers that serve: whether they come back, and whether they have served enough.

Owns the periodic look at the scoreboard, and what follows from it.
"""

from __future__ import annotations

from bicorn.supervisor import health, memory, recycling
from bicorn.supervisor.handle import WorkerState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn._native import Scoreboard
    from bicorn.log.line import LineLog
    from bicorn.supervisor.ending import Ending, Report
    from bicorn.supervisor.handle import WorkerHandle
    from bicorn.supervisor.loop import Loop
    from bicorn.supervisor.roster import Roster

IDLE_INTERVAL = 1.0
"""Seconds between two looks when nothing is limited: a reload may bring a limit."""
SUCCESSOR_PATIENCE = 10.0
"""Seconds that a hung worker is left alone for its successor to become ready."""


class Care:
    """``report`` writes a worker's stacks to the log, as for `Ending`."""

    def __init__(self, loop: Loop, board: Scoreboard, log: LineLog, report: Report) -> None:
        self._loop = loop
        self._board = board
        self._log = log
        self._report = report

    def begin(self, roster: Roster, ending: Ending) -> None:
        """Looks now, and comes back as often as the configuration's limits ask for."""
        self._roster, self._ending = roster, ending
        for worker in list(roster.workers):
            if worker.is_serving:
                self._look_at(worker)
        config = roster.current.config
        intervals = (health.beat_interval(config), recycling.interval(config), IDLE_INTERVAL)
        interval = min(interval for interval in intervals if interval is not None)
        self._loop.call_later(interval, lambda: self.begin(roster, ending))

    def _look_at(self, worker: WorkerHandle) -> None:
        now = self._loop.now()
        counters = self._board.read(worker.slot)
        # Before the first beat the clock runs from when the worker was ready.
        silence = now - max(counters["heartbeat_ms"] / 1000, worker.ready_since)
        if health.is_hung(worker.generation.config, silence):
            self._note_hung(worker, silence)
        elif worker.state is WorkerState.HUNG:
            self._note_back(worker)
        self._recycle(worker, counters["requests"], now)

    def _recycle(self, worker: WorkerHandle, requests: int, now: float) -> None:
        used = recycling.memory_of(worker.pid, worker.generation.config)
        if worker.allowance.is_far_over(used):
            self._ending.put_down(worker, f"uses {used >> 20} MiB (--max-memory-hard)")
            return
        reason = worker.allowance.overdrawn(requests=requests, age=worker.age(now), used=used)
        # One at a time, whatever the surge: workers that started together are due together.
        if reason and not self._roster.is_replacing:
            self._log.info(f"{worker} {reason}: starting its successor")
            self._roster.wish(worker.place, reason)

    def _note_hung(self, worker: WorkerHandle, silence: float) -> None:
        if worker.state is not WorkerState.READY:
            return
        worker.enter(WorkerState.HUNG)
        worker.cause = f"has not come back for {silence:.1f} s (--hang-timeout)"
        has_room = self._roster.has_room and _has_memory_for_another(worker)
        if has_room:
            self._roster.wish(worker.place, worker.cause)
        patience = SUCCESSOR_PATIENCE if has_room else 0.0
        self._report(
            worker,
            worker.cause,
            lambda: self._put_down_later(worker, patience),
        )

    def _put_down_later(self, worker: WorkerHandle, patience: float) -> None:
        def put_down() -> None:
            if worker.state is WorkerState.HUNG:
                self._ending.drain(worker, worker.cause)

        self._loop.call_later(patience, put_down)

    def _note_back(self, worker: WorkerHandle) -> None:
        worker.enter(WorkerState.READY)
        worker.cause = ""
        self._log.warning(f"{worker} has come back; its successor is on its way all the same")


def _has_memory_for_another(worker: WorkerHandle) -> bool:
    available = memory.available()
    return available is None or available > memory.used_by(worker.pid, "rss")
