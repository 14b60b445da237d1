"""Python `logging` for a worker: one handler to standard error, in the parent's format.

Sets up the logger ``bicorn`` alone; the application's loggers are the application's.
"""

from __future__ import annotations

import logging
import sys

FORMAT = "%(asctime)s [%(process)d] %(levelname)-8s %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S %z"


def set_up(level: str) -> logging.Logger:
    """The logger ``bicorn``, which writes what is at or above ``level``."""
    logger = logging.getLogger("bicorn")
    logger.setLevel(level.upper())
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT, DATE_FORMAT))
    logger.handlers[:] = [handler]
    return logger
