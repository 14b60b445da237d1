"""Signals become events of the parent's loop: the handlers only enqueue.

Python writes each signal's number into a pipe; whoever waits for the pipe reads them, in their order.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType


class SignalPipe:
    """Catches the given signals until `close`."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, _enqueued) for number in signals}

    def fileno(self) -> int:
        return self._reader

    def receive(self) -> list[int]:
        """The signals that have come since the last time."""
        try:
            return list(os.read(self._reader, 4096))
        except BlockingIOError:
            return []

    def fork(self, in_child: Callable[[], None]) -> int:
        """Forks; the signals do what they do by default in the child, which calls ``in_child`` first.

        They wait meanwhile: the child would write what it receives into the parent's pipe, and lose what was
        meant for itself. Raises `OSError`.
        """
        former = signal.pthread_sigmask(signal.SIG_BLOCK, self._former)
        try:
            pid = os.fork()
            if pid == 0:
                self._former = dict.fromkeys(self._former, signal.SIG_DFL)
                self.close()
                in_child()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        return pid

    def close(self, *, is_end: bool = False) -> None:
        """Leaves the process as it was before. Idempotent.

        At the end of the process the signals are ignored instead: one that repeats what has just been done
        must not turn the exit status into a death.
        """
        if self._reader < 0:
            return
        signal.set_wakeup_fd(-1)
        for number, handler in self._former.items():
            signal.signal(number, signal.SIG_IGN if is_end else handler)
        os.close(self._reader)
        os.close(self._writer)
        self._reader = -1


def _enqueued(_number: int, _frame: FrameType | None) -> None:
    """Python has put the number into the pipe already."""
