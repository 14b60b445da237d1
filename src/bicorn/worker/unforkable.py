"""What an application has started while it was imported, and a fork does not copy, or copies to no good.

Looks at this process, once, after the import. Knows neither who forks nor how.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SETTLING = 0.1
"""Seconds in which a thread that was joined leaves the kernel's table."""
_MOST_NAMES = 8


def warnings_of_import() -> list[str]:
    """A line for each kind of thing that workers will miss, or share against their will."""
    lines = []
    if threads := _threads():
        lines.append(
            f"the application started threads while it was imported: {_enumerated(threads)}: with --preload no "
            "worker has them, since a fork copies the forking thread alone: start them in the lifespan, or at "
            "the first request"
        )
    if loops := _loops():
        lines.append(
            f"the application opened an event loop while it was imported: {_enumerated(loops)}: with --preload all "
            "workers share its descriptors: open it in the lifespan, or use the loop that runs the request"
        )
    return lines


def _threads() -> list[str]:
    """Names of the threads besides the main one, Python's and others."""
    main = threading.main_thread()
    deadline = time.monotonic() + _SETTLING
    while True:
        ours = [thread for thread in threading.enumerate() if thread is not main]
        known = {os.getpid(), *(thread.native_id for thread in ours)}
        others = sorted(_tasks() - known)
        if not others or time.monotonic() > deadline:
            return [repr(thread.name) for thread in ours] + [_of_a_library(task) for task in others]
        # Nothing tells when the kernel has let go of one: it is looked at again.
        time.sleep(_SETTLING / 20)


def _tasks() -> set[int]:
    """The kernel's numbers of this process's threads; none where it does not tell."""
    try:
        return {int(name) for name in os.listdir("/proc/self/task")}
    except OSError:
        return set()


def _of_a_library(task: int) -> str:
    try:
        with open(f"/proc/self/task/{task}/comm", encoding="utf-8", errors="replace") as comm:
            return f"{comm.read().strip()!r} (of a library in C)"
    except OSError:
        return f"{task} (of a library in C)"


def _loops() -> list[str]:
    """The types of the event loops that are open, whether they run or not."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    kind = asyncio.AbstractEventLoop
    # By the type, and not `isinstance`: that asks the object, and some answer for another that is not there yet.
    found = [each for each in gc.get_objects() if issubclass(type(each), kind)]
    return [_type_name(loop) for loop in found if _is_open(loop)]


def _is_open(loop: Any) -> bool:
    try:
        return not loop.is_closed()
    except (AttributeError, NotImplementedError):
        # Half made, or the application's own kind.
        return False


def _type_name(loop: Any) -> str:
    return f"{type(loop).__module__}.{type(loop).__qualname__}"


def _enumerated(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
