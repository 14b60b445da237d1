"""A worker that can be asked what it is doing. How that is done is `bicorn.supervisor.inquiry`'s, which the parent
imports when somebody asks.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bicorn.supervisor.inquiry import Inquiry
    from bicorn.supervisor.loop import Loop
    from bicorn.supervisor.stacks import Stacks

LIMIT = 1.0
"""Seconds that an answer may take."""


class Witness:
    """A worker that can be asked, at any time and by several at once: they share one answer.

    Owns ``reader``, the read end of the worker's pipe. ``pid`` is 0 until the process is known.
    """

    def __init__(self, loop: Loop, pid: int, reader: int) -> None:
        os.set_blocking(reader, False)
        self.pid = pid
        self._loop = loop
        self._reader = reader
        self._inquiry: Inquiry | None = None
        self._askers: list[Callable[[Stacks], None]] = []

    def ask(self, on_done: Callable[[Stacks], None], limit: float = LIMIT) -> None:
        """Calls back, from the loop, with what is known at the latest when ``limit`` seconds are over."""
        self._askers.append(on_done)
        if self._reader < 0:
            self._loop.call_later(0, lambda: self._answer_without_asking("has ended"))
        elif self.pid <= 0:
            # To the kernel, process 0 is everybody in this group.
            self._loop.call_later(0, lambda: self._answer_without_asking("has not begun"))
        elif self._inquiry is None:
            from bicorn.supervisor.inquiry import Inquiry

            self._inquiry = Inquiry(self._loop, self.pid, self._reader, self._answer, limit)

    def close(self) -> None:
        """The process has ended. Those who wait get what was heard. Idempotent."""
        if self._inquiry is not None:
            self._inquiry.finish()
        self.abandon()

    def abandon(self) -> None:
        """Closes what a fork has copied, and leaves the loop alone, which is the parent's."""
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1

    def _answer(self, stacks: Stacks) -> None:
        self._inquiry = None
        askers, self._askers = self._askers, []
        for on_done in askers:
            on_done(stacks)

    def _answer_without_asking(self, trouble: str) -> None:
        from bicorn.supervisor.stacks import Stacks

        self._answer(Stacks(trouble=trouble))
