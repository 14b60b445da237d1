"""What the parent knows of one worker: its process, its state, and what it said.

The child's own code is `bicorn.worker`; nothing of it is imported here.
"""

from __future__ import annotations

import enum
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.supervisor.channel import Channel, Message
    from bicorn.supervisor.slot import Slot


class WorkerState(enum.Enum):
    """STARTING ─▶ READY ─▶ STOPPING ─▶ ENDED; any of them may lead to ENDED at once, STARTING to STOPPING."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    ENDED = "ended"


_NEXT = {
    WorkerState.STARTING: {WorkerState.READY, WorkerState.STOPPING, WorkerState.ENDED},
    WorkerState.READY: {WorkerState.STOPPING, WorkerState.ENDED},
    WorkerState.STOPPING: {WorkerState.ENDED},
    WorkerState.ENDED: set[WorkerState](),
}


class WorkerHandle:
    """One worker process, from its fork to its end. ``started`` is in seconds of the monotonic clock."""

    def __init__(self, slot: Slot, pid: int, channel: Channel, started: float) -> None:
        self.slot = slot
        self.pid = pid
        self.channel = channel
        self.started = started
        self.state = WorkerState.STARTING
        self.failure: Message | None = None
        self._wait_status = 0

    def note_ready(self) -> bool:
        """Whether that is news: a worker that was told to stop may say so too late."""
        return self._enter(WorkerState.READY)

    def stop(self) -> None:
        """Asks for a graceful end, once."""
        if self._enter(WorkerState.STOPPING):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        # The process was not waited for, so its number is still its own.
        if self.state is not WorkerState.ENDED:
            os.kill(self.pid, signal.SIGKILL)

    def note_end(self, wait_status: int) -> None:
        """Takes the status that ``waitpid`` gave."""
        self._wait_status = wait_status
        self._enter(WorkerState.ENDED)
        self.channel.close()

    @property
    def cause(self) -> str:
        """How the process ended, in words."""
        if os.WIFSIGNALED(self._wait_status):
            number = os.WTERMSIG(self._wait_status)
            try:
                return f"was killed by {signal.Signals(number).name}"
            except ValueError:
                return f"was killed by signal {number}"
        return f"exited with status {os.WEXITSTATUS(self._wait_status)}"

    def _enter(self, state: WorkerState) -> bool:
        if state not in _NEXT[self.state]:
            return False
        self.state = state
        return True
