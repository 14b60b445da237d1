"""What a worker does, told to its parent when asked: the stack of each thread and of each asyncio task.

`faulthandler` writes the threads' stacks from C, at once, also while the interpreter is held by a call that never
returns. After it Python's own handler adds the tasks, if the interpreter still runs Python. All goes into a pipe that
never blocks this process: what has no room in it is lost. Read by `bicorn.supervisor.stacks`.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import os
import signal
import sys

from bicorn.reserved import DOING_MARK, END_MARK, REPORT_SIGNAL, TASKS_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

MOST_TASKS = 200
"""Tasks that are told of. There may be ten thousand, and they are alike."""
MOST_FRAMES = 30
"""Frames of a task, from the innermost."""
LONGEST_TEXT = 32 * 1024
"""Characters about the tasks: with `faulthandler`'s part it has room in a pipe of 64 KiB."""
LONGEST_PATH = 120
"""As on the scoreboard."""
MOST_ARGUMENTS = 4
"""Variables of an application's first function among which the scope may be, such as ``self, scope``."""


def install(writer: int) -> None:
    """Has the reserved signal answered into ``writer``, the write end of a pipe that stays open."""
    os.set_blocking(writer, False)
    # In this order: faulthandler calls the handler that it found.
    signal.signal(REPORT_SIGNAL, Reporter(writer).on_signal)
    faulthandler.register(REPORT_SIGNAL, file=writer, all_threads=True, chain=True)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [REPORT_SIGNAL])
    # The last thing before the interpreter puts the signal back to its default, which is death.
    atexit.register(withdraw)


def withdraw() -> None:
    """Has the reserved signal ignored: nothing is left to be told."""
    faulthandler.unregister(REPORT_SIGNAL)
    signal.signal(REPORT_SIGNAL, signal.SIG_IGN)
    atexit.unregister(withdraw)


class Reporter:
    """Writes what only the interpreter knows."""

    def __init__(self, writer: int) -> None:
        self._writer = writer

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # It runs between any two steps of the application, which must not notice: it takes no lock, waits for
        # nothing and raises nothing.
        try:
            lines = list(_bounded(_lines_of_tasks()))
        except Exception as error:  # noqa: BLE001 - a signal handler's top, in the middle of the application
            lines = [f"the tasks cannot be told: {error!r}"]
        told = "\n".join([TASKS_MARK, *lines, END_MARK, ""]).encode("ascii", "backslashreplace")
        try:
            while told:
                told = told[os.write(self._writer, told) :]
        except OSError:
            # The pipe is full, or the parent is gone: it waits for no more than its own limit.
            return


def _bounded(lines: Iterator[str]) -> Iterator[str]:
    room = LONGEST_TEXT
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            yield "and more, for which there is no room"
            return
        yield line


def _lines_of_tasks() -> Iterator[str]:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # there is none in this thread, the main one
        return
    tasks = asyncio.all_tasks(loop)
    current = asyncio.current_task(loop)
    if current is not None:
        request = request_of(current)
        if request:
            yield f"{DOING_MARK}{request}"
        yield from _lines_of_task(current, is_current=True)
        tasks.discard(current)
    for task in list(tasks)[:MOST_TASKS]:
        yield from _lines_of_task(task, is_current=False)
    if len(tasks) > MOST_TASKS:
        yield f"and {len(tasks) - MOST_TASKS} more tasks"


def _lines_of_task(task: asyncio.Task[Any], *, is_current: bool) -> Iterator[str]:
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
    request = request_of(task)
    doing = f", {request}" if request else ""
    # Most of what may stand in a name is not to stand in a log; `ascii` also keeps it to one line.
    heading = f"task {task.get_name()!a}: {ascii(name)[1:-1]}{doing}"
    if is_current:
        yield f"{heading}, running (its stack is the main thread's)"
        return
    yield f"{heading} (most recent call first):"
    frames = list(_frames_of(coroutine))
    for frame in reversed(frames[-MOST_FRAMES:]):
        code = frame.f_code
        yield f'  File "{ascii(code.co_filename)[1:-1]}", line {frame.f_lineno} in {code.co_name}'
    if not frames:
        yield "  <no Python frame>"


def request_of(task: asyncio.Task[Any]) -> str:
    """Method and path, where the task's coroutine was called with an HTTP scope; else empty."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    if frame is None:
        return ""
    variables = frame.f_locals
    arguments = [variables.get(name) for name in frame.f_code.co_varnames[:MOST_ARGUMENTS]]
    if isinstance(variables, dict):
        # Up to Python 3.12 it is a copy that the frame keeps: what the application lets go of must not live on in it.
        variables.clear()
    for scope in arguments:
        if isinstance(scope, dict) and scope.get("type") == "http":
            method, path = scope.get("method"), scope.get("path")
            return f"{ascii(method)[1:-1]} {ascii(path)[1:-1][:LONGEST_PATH]}"
    return ""


def _frames_of(awaitable: object) -> Iterator[FrameType]:
    """The frames from the coroutine to where it is suspended. A task itself tells of the first one only."""
    seen = 0
    current: object | None = awaitable
    while current is not None and seen < 1000:
        seen += 1
        for kind, inner in (("cr", "await"), ("gi", "yieldfrom"), ("ag", "await")):
            frame = getattr(current, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                current = getattr(current, f"{kind}_{inner}", None)
                break
        else:
            current = _wrapped_in(current)


def _wrapped_in(awaitable: object) -> object | None:
    """What stands behind ``anext()`` of an asynchronous generator and ``__await__()`` of a coroutine, which have no
    attribute that says so."""
    if type(awaitable).__name__ not in ("async_generator_asend", "coroutine_wrapper"):
        return None
    return next(
        (
            inner
            for inner in gc.get_referents(awaitable)
            if hasattr(inner, "ag_frame") or hasattr(inner, "cr_frame")
        ),
        None,
    )
