"""The standard streams of a server that goes to the background.

A stream that leads to a file was sent there on purpose and stays; so does the journal. A terminal goes away, and
whoever reads a pipe waits for its end: these are replaced by /dev/null. Each process does that once it serves, so that
what an application says while it starts is seen.
"""

from __future__ import annotations

import os
import stat
import sys

STDIN, STDOUT, STDERR = range(3)


def is_kept(descriptor: int) -> bool:
    """Whether what is written to the stream still arrives somewhere once the server is in the background."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    if stat.S_ISSOCK(found.st_mode):
        # systemd.exec(5): how a program finds out that it writes to the journal.
        return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return stat.S_ISREG(found.st_mode)


def flush() -> None:
    """What was written leaves. A stream that was closed, or that nobody reads, has lost it already."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue


def detach() -> None:
    """Lets go of the streams that are not kept. Idempotent."""
    flush()
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        for descriptor in (STDIN, STDOUT, STDERR):
            if descriptor == STDIN or not is_kept(descriptor):
                os.dup2(nowhere, descriptor)
    finally:
        if nowhere > STDERR:
            os.close(nowhere)
