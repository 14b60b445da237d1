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


class WorkerState(enum.Enum):
    """STARTING ─▶ READY ─▶ STOPPING ─▶ ENDED; a worker may end from any state."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    ENDED = "ended"


class WorkerHandle:
    """One worker process, from its fork to its end. Times are seconds of the monotonic clock."""

    def __init__(self, slot: int, pid: int, channel: Channel, started: float) -> None:
        self.slot = slot
        self.pid = pid
        self.channel = channel
        self.started = started
        self.state = WorkerState.STARTING
        self.failure: Message | None = None
        self.status = 0

    def note_ready(self) -> None:
        if self.state is WorkerState.STARTING:
            self.state = WorkerState.READY

    def stop(self) -> None:
        """Asks for a graceful end."""
        if self.state in (WorkerState.STARTING, WorkerState.READY):
            self.state = WorkerState.STOPPING
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def note_end(self, wait_status: int) -> None:
        """Takes the status that ``waitpid`` gave."""
        self.status = wait_status
        self.state = WorkerState.ENDED
        self.channel.close()

    @property
    def cause(self) -> str:
        """How the process ended, in words."""
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            try:
                return f"was killed by {signal.Signals(number).name}"
            except ValueError:
                return f"was killed by signal {number}"
        return f"exited with status {os.WEXITSTATUS(self.status)}"

    def _signal(self, number: signal.Signals) -> None:
        # The process is ours and was not waited for, so its number is still its own.
        if self.state is not WorkerState.ENDED:
            os.kill(self.pid, number)
