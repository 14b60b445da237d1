"""Lines of the error log, written without `logging`.

The parent logs a few lines in a month; the import of `logging` would cost its start and its memory more than
everything else that it does.
"""

from __future__ import annotations

import os
import sys
import time

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class LineLog:
    """Writes to standard error what is at or above a level."""

    def __init__(self, level: str) -> None:
        self._threshold = LEVELS[level]

    def debug(self, text: str) -> None:
        self._log("debug", text)

    def info(self, text: str) -> None:
        self._log("info", text)

    def warning(self, text: str) -> None:
        self._log("warning", text)

    def error(self, text: str) -> None:
        self._log("error", text)

    def _log(self, level: str, text: str) -> None:
        if LEVELS[level] >= self._threshold:
            self.write(f"{stamp()} [{os.getpid()}] {level.upper():<8} {text}\n")

    def write(self, text: str) -> None:
        """Text as it is. A standard error that nobody reads any more is no reason to stop."""
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            self._threshold = LEVELS["critical"] + 1


def stamp() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
