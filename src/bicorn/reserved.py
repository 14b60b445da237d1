"""What the parent, its workers and the command line have agreed on, so that none has to know another.

The signal that asks a worker what it is doing, the marks in its answer, and the parent's door. Imported
by the parent at its start: this module imports next to nothing.
"""

from __future__ import annotations

import signal

# Of the real-time signals the last ones but one: glibc takes the first two, and programs that use any count from the
# first. Where there are none (macOS), one that Bicorn's workers have no other use for.
REPORT_SIGNAL: int = signal.SIGRTMAX - 1 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2
"""Asks a worker for its stacks. Until a worker can answer it must be ignored: its default is death."""

TASKS_MARK = "@tasks"
"""The line after which Python itself speaks; before it stands what `faulthandler` wrote."""
DOING_MARK = "@doing "
"""Begins the line with the request of the task that runs."""
END_MARK = "@end"
"""The line after which nothing comes."""

VERBS = {
    "status": "show the state of a running server and of its workers (--pid PID, --json)",
    "dump": "print what each worker of a running server is doing, with its stacks (--pid PID)",
}
"""What the command does to a running server, as its first word. An application of that name is served as
``dump:app`` or ``./dump.py``."""
DOOR_PREFIX = "bicorn/"
"""Begins the name of a parent's abstract Unix socket; the number of its process follows."""


def door_name(pid: int) -> str:
    """The address of a parent's door, abstract: there is no file, and it is gone with its process."""
    return f"\0{DOOR_PREFIX}{pid}"
