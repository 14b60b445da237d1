"""What the parent tells of its workers: reports in the error log, and the answers of its door.

Owns how the roster's workers become the subjects of reports and of the status. What writes those is imported when
somebody asks: most parents are never asked, and have less to keep in memory.
"""

from __future__ import annotations

import os

from bicorn._native import __version__
from bicorn.supervisor import health, memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bicorn._native import Scoreboard
    from bicorn.log.line import LineLog
    from bicorn.supervisor.door import Command, Reply
    from bicorn.supervisor.handle import WorkerHandle
    from bicorn.supervisor.loop import Loop
    from bicorn.supervisor.report import Subject
    from bicorn.supervisor.roster import Roster
    from bicorn.supervisor.stacks import Stacks


class Reporting:
    """``last_reload`` says how the last reload ended, or is going; ``state`` is the parent's own, in a word."""

    def __init__(self, loop: Loop, board: Scoreboard, log: LineLog, roster: Roster) -> None:
        self._loop = loop
        self._board = board
        self._log = log
        self._roster = roster
        self._started = loop.now()
        self.state = ""
        self.last_reload = ""

    def report(self, worker: WorkerHandle, cause: str, done: Callable[[], None]) -> None:
        """Puts a worker's report into the error log, in one piece, and calls back, whatever becomes of the report."""

        def write(stacks: Stacks) -> None:
            self._log.error(f"{worker} {cause}{self._told(worker, stacks)}")
            done()

        try:
            worker.witness.ask(write)
        except Exception as error:  # noqa: BLE001 - another version may lie on the disk by now
            self._log.error(f"{worker} {cause} (no report: {error!r})")
            done()

    def _told(self, worker: WorkerHandle, stacks: Stacks) -> str:
        try:
            from bicorn.supervisor.report import render

            text = render(subject_of(worker), self._board, stacks, self._loop.now())
        except Exception as error:  # noqa: BLE001 - as above
            return f" (no report: {error!r})"
        return f": its report follows\n{text.rstrip()}"

    @property
    def commands(self) -> dict[str, Command]:
        """What the door answers."""
        return {"status": self._tell_status, "dump": self._dump}

    def _tell_status(self, reply: Reply, _words: list[str]) -> None:
        from bicorn.supervisor.status import Server, compose, to_text

        server = Server(
            pid=os.getpid(),
            version=__version__,
            started=self._started,
            state=self.state,
            generation=self._roster.current.number,
        )
        server.last_reload = self.last_reload
        subjects = [subject_of(worker) for worker in self._roster.workers]
        now = self._loop.now()
        reply(to_text(compose(server, subjects, self._board, _resident, now)))

    def _dump(self, reply: Reply, _words: list[str]) -> None:
        from bicorn.supervisor.dump import dump

        workers = [(subject_of(worker), worker.witness) for worker in self._roster.workers]
        dump(workers, self._board, self._loop.now, reply)


def subject_of(worker: WorkerHandle) -> Subject:
    from bicorn.supervisor.report import Subject

    return Subject(
        worker.pid,
        worker.slot,
        worker.generation.number,
        worker.started,
        worker.state.value,
        beat_interval=health.beat_interval(worker.generation.config) or 0.0,
    )


def _resident(pid: int) -> int:
    return memory.used_by(pid, "rss")
