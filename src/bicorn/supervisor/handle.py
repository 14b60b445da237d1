"""What the parent knows of one worker: its process, its state, and what it said.

The child's own code is `bicorn.worker`; nothing of it is imported here.
"""

from __future__ import annotations

import enum
import os
import signal

from bicorn.supervisor.recycling import Allowance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.supervisor.channel import Channel, Message
    from bicorn.supervisor.generation import Generation
    from bicorn.supervisor.place import Place
    from bicorn.supervisor.witness import Witness


class WorkerState(enum.Enum):
    """STARTING ─▶ READY ─▶ HUNG ─▶ DRAINING ─▶ DYING ─▶ ENDED

    Each may be left out. READY serves; HUNG has not come back for too long, and may still; DRAINING was told to
    finish what it has; DYING was told to end at once. Any of them may lead to ENDED.
    """

    STARTING = "starting"
    READY = "serving"
    HUNG = "hung"
    DRAINING = "draining"
    DYING = "dying"
    ENDED = "ended"


_NEXT = {
    WorkerState.STARTING: {WorkerState.READY, WorkerState.DRAINING},
    WorkerState.READY: {WorkerState.HUNG, WorkerState.DRAINING},
    WorkerState.HUNG: {WorkerState.READY, WorkerState.DRAINING},
    WorkerState.DRAINING: set[WorkerState](),
    WorkerState.DYING: set[WorkerState](),
    WorkerState.ENDED: set[WorkerState](),
}
_FINAL = (WorkerState.DYING, WorkerState.ENDED)


class WorkerHandle:
    """One worker process, from its fork to its end.

    ``pid`` is 0 until it is known, ``slot`` its place on the scoreboard; ``started`` is in seconds of the monotonic
    clock, and so is ``ready_since``, which is 0 until it was ready. ``cause`` says why it was told to end, if it was.
    ``witness`` tells its stacks, ``allowance`` is what it may use before another takes its place.
    """

    def __init__(
        self,
        place: Place,
        generation: Generation,
        slot: int,
        channel: Channel,
        witness: Witness,
        started: float,
    ) -> None:
        self.place = place
        self.generation = generation
        self.slot = slot
        self.channel = channel
        self.witness = witness
        self.started = started
        self.ready_since = 0.0
        self.allowance = Allowance(generation.config)
        self.pid = 0
        self.state = WorkerState.STARTING
        self.cause = ""
        self.failure: Message | None = None
        self.is_drain_begun = False
        self._pending: list[int] = []

    def __str__(self) -> str:
        return f"worker {self.pid}"

    @property
    def was_ready(self) -> bool:
        return self.ready_since > 0

    @property
    def is_serving(self) -> bool:
        return self.state in (WorkerState.READY, WorkerState.HUNG)

    def age(self, now: float) -> float:
        return now - self.started

    def note_born(self, pid: int) -> None:
        """The process exists; whatever it was to be told is told now."""
        self.pid = self.witness.pid = pid
        for number in self._pending:
            self.signal(number)

    def enter(self, state: WorkerState) -> bool:
        """Whether the state follows the present one; if not, nothing changes."""
        if state in _NEXT[self.state] or (state in _FINAL and self.state is not WorkerState.ENDED):
            self.state = state
            return True
        return False

    def signal(self, number: int) -> None:
        # The process was not waited for, so its number is still its own.
        if self.state is WorkerState.ENDED:
            return
        if self.pid:
            os.kill(self.pid, number)
        else:
            self._pending.append(number)

    def kill(self) -> None:
        self.enter(WorkerState.DYING)
        self.signal(signal.SIGKILL)
