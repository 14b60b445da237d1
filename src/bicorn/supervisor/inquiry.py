"""Asking a worker what it is doing.

Owns the signal, the pipe that the answer comes through, and how long it is waited for; never blocks, and asks a
worker that is stopped nothing: it could not answer, and would when it goes on, to nobody. How the answer is made is
`bicorn.worker.report`'s, what is in it `bicorn.supervisor.stacks`'.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from bicorn.reserved import REPORT_SIGNAL
from bicorn.supervisor.process import kernel_place, state_of
from bicorn.supervisor.stacks import Stacks, answer_in, has_end
from bicorn.supervisor.witness import LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bicorn.supervisor.loop import Loop

SILENCE = 0.3
"""Seconds after the last of it, when `faulthandler` has spoken and Python has not."""
LONGEST_ANSWER = 1 << 20
PIPE_SIZE = 1 << 20
"""Bytes that the pipe holds while an answer is awaited, where the kernel allows it; a hundred stacks fit."""

_CHUNK = 1 << 16
_CHUNKS_A_TURN = 16

_STOPPED = {
    "T": "is stopped (state T: SIGSTOP, or Control-Z): it runs nothing until it is sent SIGCONT",
    "t": "is stopped by a debugger or a tracer (state t)",
    "Z": "has ended",
    "X": "has ended",
}


class Inquiry:
    """One question, asked when it is made."""

    def __init__(
        self,
        loop: Loop,
        pid: int,
        reader: int,
        on_done: Callable[[Stacks], None],
        limit: float = LIMIT,
    ) -> None:
        self._loop = loop
        self._pid = pid
        self._reader = reader
        self._on_done: Callable[[Stacks], None] | None = on_done
        self._data = b""
        self._heard_at = 0.0
        _resize(reader, PIPE_SIZE)
        _drain(reader)
        state = state_of(pid)
        self._timers = [loop.call_later(0 if state in _STOPPED else limit, self.finish)]
        if state not in _STOPPED:
            loop.watch(reader, self._read)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, REPORT_SIGNAL)

    def finish(self) -> None:
        """Calls back with what was heard so far. Idempotent."""
        on_done, self._on_done = self._on_done, None
        if on_done is None:
            return
        for timer in self._timers:
            timer.cancel()
        self._loop.unwatch(self._reader)
        _resize(self._reader, _CHUNK)
        state = state_of(self._pid)
        trouble = "" if answer_in(self._data) else _trouble(self._pid, state)
        on_done(Stacks(self._data, trouble, state))

    def _read(self) -> None:
        for _ in range(_CHUNKS_A_TURN):
            try:
                chunk = os.read(self._reader, _CHUNK)
            except BlockingIOError:
                break
            self._data += chunk
            if not chunk or has_end(self._data) or len(self._data) > LONGEST_ANSWER:
                self.finish()
                return
        if not self._heard_at:
            self._timers.append(self._loop.call_later(SILENCE, self._finish_if_silent))
        self._heard_at = self._loop.now()

    def _finish_if_silent(self) -> None:
        due = self._heard_at + SILENCE
        if self._loop.now() >= due:
            self.finish()
        else:
            self._timers[-1] = self._loop.call_at(due, self._finish_if_silent)


def _trouble(pid: int, state: str) -> str:
    """Why a process has said nothing."""
    if state in _STOPPED:
        return _STOPPED[state]
    if state == "D":
        place = kernel_place(pid) or "where is not for us to see"
        return f"waits for a disk or a file system and no signal reaches it (state D): {place}"
    return "has not answered: it has not got so far, or holds the signal back"


def _drain(reader: int) -> None:
    """Drops what was written after the end of a former inquiry; no more than the pipe can hold."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(2 * PIPE_SIZE // _CHUNK):
            if not os.read(reader, _CHUNK):
                return


def _resize(pipe: int, size: int) -> None:
    # The kernel refuses above a user's limit, or below what is in the pipe; it then stays as it is.
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)
