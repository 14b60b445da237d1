"""``--daemon``: the server goes to the background, and its command ends once a worker serves.

Owns the two forks and the pipe over which the process in the foreground, which waits, hears how the start went: until
then standard error is still the caller's, so that an error is read where the command was given.
"""

from __future__ import annotations

import os
import signal
import sys

from bicorn.errors import OperatorError, WorkerStartError, explain
from bicorn.log.streams import STDERR, STDOUT, detach, flush, is_kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bicorn.config import Config
    from bicorn.log.line import LineLog

_SERVES = b"serves"
_INTERRUPTED = 130
"""What a shell reports of a program that SIGINT ended."""


class Background:
    """The background's end of the pipe."""

    def __init__(self, writer: int) -> None:
        self._writer = writer

    @staticmethod
    def warn_of_lost_logs(config: Config, log: LineLog) -> None:
        """What is written to a stream that leads nowhere is lost, and that is said while it is still read."""
        lost = []
        if config.access_log and config.access_log_file == "-" and not is_kept(STDOUT):
            lost.append("the access log (give it --access-log-file FILE, or say --no-access-log)")
        if not is_kept(STDERR):
            lost.append("the error log (keep it with 2>>FILE)")
        if lost:
            log.warning(f"in the background nobody reads {' and '.join(lost)}")

    def note_start(self, pid: int) -> None:
        """Which process to end, should the command be interrupted."""
        self._tell(f"{pid}".encode())

    def note_serving(self) -> None:
        """A worker serves: the command returns, and its standard streams are let go of. Idempotent."""
        if self._writer >= 0:
            detach()
            self._tell(_SERVES)
            self.disown()

    def note_end(self, exit_status: int) -> None:
        """The server ends. Whoever still waits has its exit status from this."""
        if self._writer >= 0:
            self._tell(f"{exit_status}".encode())
            self.disown()

    def disown(self) -> None:
        """In a forked child: the parent alone says how the start went."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1

    def _tell(self, text: bytes) -> None:
        try:
            os.write(self._writer, text + b"\n")
        except OSError:
            # Whoever gave the command has not waited. The server goes on.
            return


def in_background(serve: Callable[[Background], int]) -> int:
    """Runs ``serve`` in the background; returns the command's exit status in the foreground, and ``serve``'s there.

    Raises in the foreground what is no error of ``serve``: `WorkerStartError` when the background was killed.
    """
    flush()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        try:
            return _wait(pid, reader)
        finally:
            os.close(reader)
    os.close(reader)
    # A session of its own, which no terminal can hang up; and not its leader, so that none becomes its terminal.
    os.setsid()
    if os.fork():
        os._exit(0)
    return _serve(serve, Background(writer))


def _serve(serve: Callable[[Background], int], background: Background) -> int:
    """In the background."""
    pid = os.getpid()
    background.note_start(pid)
    status = 1
    try:
        status = serve(background)
    except OperatorError as error:
        if sys.stderr is not None:  # closed by whoever started us
            sys.stderr.write(explain(error))
            sys.stderr.flush()
        status = error.exit_status
    finally:
        # A worker comes by here as well, at the end of its own life.
        if os.getpid() == pid:
            background.note_end(status)
    return status


def _wait(child: int, reader: int) -> int:
    """In the foreground, until a worker serves or none ever will."""
    said = b""
    try:
        os.waitpid(child, 0)
        while said.count(b"\n") < 2 and (data := os.read(reader, 256)):
            said += data
    except KeyboardInterrupt:
        # The background says first which process it is; the interrupt may have come before that was read.
        process = (said or os.read(reader, 256)).partition(b"\n")[0]
        if process:
            os.kill(int(process), signal.SIGTERM)
        return _INTERRUPTED
    lines = said.split(b"\n")
    if len(lines) < 3:
        raise WorkerStartError("the server was killed before a worker served")
    return 0 if lines[1] == _SERVES else int(lines[1])
