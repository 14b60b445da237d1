"""Python `logging` for a worker: one handler to standard error, in the parent's format.

Sets up the logger ``bicorn`` alone; the application's loggers are the application's.
"""

from __future__ import annotations

import io
import logging
import sys

from bicorn.log.line import DATE_FORMAT, is_coloured, level_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def set_up(level: str) -> logging.Logger:
    """The logger ``bicorn``, which writes what is at or above ``level``."""
    logger = logging.getLogger("bicorn")
    logger.setLevel(level.upper())
    logger.propagate = False
    handler = logging.StreamHandler(_whole_records(sys.stderr))
    handler.setFormatter(LineFormatter(coloured=is_coloured(sys.stderr)))
    logger.handlers[:] = [handler]
    return logger


class LineFormatter(logging.Formatter):
    """The lines of `bicorn.log.line`."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__("%(asctime)s [%(process)d] %(level)s %(message)s", DATE_FORMAT)
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        record.level = level_word(record.levelname.lower(), coloured=self._coloured)
        return super().format(record)


def _whole_records(stream: TextIO | None) -> TextIO | None:
    """A stream to the same place that writes a traceback at once, so that two workers' do not mix.

    `sys.stderr` itself writes each line on its own.
    """
    if stream is None:
        return None
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # replaced by something that is no file
        return stream
    # A record leaves with the flush after it; one that is longer than the buffer leaves in pieces.
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw, _LONGEST), "utf-8", "backslashreplace")


_LONGEST = 64 * 1024
