"""A worker's place: who serves there, who is to follow, and when the next one may start.

Owns the waiting between starts, so that a worker which cannot live does not take the machine with it. Times are
seconds of the monotonic clock, always given: nothing here reads it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.supervisor.handle import WorkerHandle

SHORTEST_LIFE = 1.0
"""A worker that ends sooner than this many seconds after its start has not lived."""
LONGEST_WAIT = 30.0


class Place:
    """``worker`` serves, ``successor`` is about to. ``wish`` says why the worker is to be replaced though its
    generation is the current one; empty if it is not. ``start_at`` is when a successor may start.
    """

    __slots__ = ("_in_vain", "number", "start_at", "successor", "wish", "worker")

    def __init__(self, number: int) -> None:
        self.number = number
        self.worker: WorkerHandle | None = None
        self.successor: WorkerHandle | None = None
        self.wish = ""
        self.start_at = 0.0
        self._in_vain = 0

    @property
    def is_empty(self) -> bool:
        return self.worker is None and self.successor is None

    def take_over(self) -> WorkerHandle | None:
        """The successor serves from now on. Returns the predecessor."""
        predecessor, self.worker = self.worker, self.successor
        self.successor = None
        self.wish = ""
        return predecessor

    def note_end(self, started: float, now: float, *, was_ready: bool) -> None:
        """A worker that was started at ``started`` has ended without being told to.

        One that had lived is followed at once. After those that had not, there is a second between two starts, then
        two, four, up to thirty; and the first of them is followed at once if it had been ready.
        """
        has_lived = was_ready and now - started >= SHORTEST_LIFE
        self._in_vain = 0 if has_lived else self._in_vain + 1
        if has_lived or (was_ready and self._in_vain == 1):
            self.start_at = now
        else:
            self.start_at = started + min(2.0 ** (self._in_vain - 1), LONGEST_WAIT)

    def note_no_start(self, now: float) -> None:
        """The kernel gave no process."""
        self.note_end(now, now, was_ready=False)
