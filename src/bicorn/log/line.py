"""Lines of the error log, written without `logging`.

Owns what a line looks like. The parent logs a few lines in a month; the import of `logging` would cost its start
and its memory more than everything else that it does.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
DATE_FORMAT = "%Y-%m-%d %H:%M:%S %z"

# ECMA-48, "Select Graphic Rendition".
_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}


class LineLog:
    """Writes what is at or above ``level`` to standard error."""

    def __init__(self, level: str) -> None:
        self._threshold = LEVELS[level]
        self._coloured = is_coloured(sys.stderr)

    def debug(self, text: str) -> None:
        self._log("debug", text)

    def info(self, text: str) -> None:
        self._log("info", text)

    def warning(self, text: str) -> None:
        self._log("warning", text)

    def error(self, text: str) -> None:
        self._log("error", text)

    def write(self, text: str) -> None:
        """Text as it is. A standard error that nobody reads any more is no reason to stop."""
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):
            self._threshold = LEVELS["critical"] + 1

    def _log(self, level: str, text: str) -> None:
        if LEVELS[level] >= self._threshold:
            stamp = time.strftime(DATE_FORMAT)
            word = level_word(level, coloured=self._coloured)
            self.write(f"{stamp} [{os.getpid()}] {word} {text}\n")


def level_word(level: str, *, coloured: bool) -> str:
    """The level as it stands in a line, padded, so that the texts stand below each other."""
    word = f"{level.upper():<8}"
    colour = _COLOURS.get(level) if coloured else None
    return f"\x1b[{colour}m{word}\x1b[0m" if colour else word


def is_coloured(stream: TextIO | None) -> bool:
    """Whether somebody looks at it on a terminal, and has not asked for plain text (https://no-color.org)."""
    try:
        return stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")
    except ValueError:  # closed
        return False
