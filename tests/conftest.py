"""What holds for every test: no leaks, and an absent tool is told of at the end of the run.

Owns the generic part only; what a group of tests shares stands in the conftest.py of its folder.
That warnings are errors stands in pyproject.toml. It must not import bicorn.
"""

import gc
import logging
import logging.handlers
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROCESSES = Path("/proc")
DESCRIPTORS = Path("/proc/self/fd") if PROCESSES.is_dir() else Path("/dev/fd")

absent_tools = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[absent_tools] = {}


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for name, tests in config.stash[absent_tools].items():
        terminalreporter.section(f"SKIPPED: {name} is not installed: {tests} tests did not run")


@pytest.fixture
def require_tool(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Finds a program that a test needs, or skips the test, and the end of the run says so."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            absent = request.config.stash[absent_tools]
            absent[name] = absent.get(name, 0) + 1
            pytest.skip(f"{name} is not installed")
        return path

    return find


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a descriptor, a child process, a thread or an asyncio task behind.

    Fixtures of a wider scope are set up before this one, and what they hold is theirs to free.
    """
    complaints: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueHandler(complaints)
    logging.getLogger("asyncio").addHandler(listener)
    descriptors, children, threads = open_descriptors(), child_processes(), live_threads()
    yield
    # Frees what the test left in reference cycles; a full collection takes too long to do every time.
    gc.collect(1)
    left = leaked_since(descriptors, children, threads)
    logging.getLogger("asyncio").removeHandler(listener)
    left += pending_tasks(complaints)
    if left:
        told = ", ".join(f"{kind} {what}" for kind, what in left)
        pytest.fail(f"{request.node.name} leaked {told}", pytrace=False)


def leaked_since(
    descriptors: dict[str, str], children: dict[str, str], threads: dict[str, str]
) -> list[tuple[str, str]]:
    # A process may change its title, and is still the same one.
    new = {child: what for child, what in child_processes().items() if child not in children}
    left = [
        *(open_descriptors().items() - descriptors.items()),
        *new.items(),
        *(live_threads().items() - threads.items()),
    ]
    return [] if left and collected_meanwhile(left) else left


def pending_tasks(complaints: "queue.SimpleQueue[logging.LogRecord]") -> list[tuple[str, str]]:
    """What asyncio said of tasks that were freed before they had ended."""
    told = []
    while not complaints.empty():
        message = complaints.get().getMessage()
        if message.startswith("Task was destroyed"):
            told.append(("task", message))
    return told


def collected_meanwhile(left: list[tuple[str, str]]) -> bool:
    """Whether all that was left is gone once what waits in reference cycles is freed."""
    gc.collect()
    now = {**open_descriptors(), **child_processes(), **live_threads()}
    return not any(now.get(kind) == what for kind, what in left)


def open_descriptors() -> dict[str, str]:
    """Our open descriptors, each with what it is open on."""
    descriptors = {}
    for name in os.listdir(DESCRIPTORS):
        try:
            target = (
                os.readlink(DESCRIPTORS / name) if PROCESSES.is_dir() else str(os.fstat(int(name)))
            )
        except OSError:
            # The listing's own descriptor, closed by now.
            continue
        descriptors[f"descriptor {name}"] = target
    return descriptors


def child_processes() -> dict[str, str]:
    """Our children, the unreaped ones too; none where /proc does not tell."""
    children = {}
    for task in PROCESSES.glob("self/task/*/children"):
        try:
            pids = task.read_text().split()
        except OSError:
            # A thread that has ended between the two steps.
            continue
        for pid in pids:
            try:
                command = (PROCESSES / pid / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                # Reaped between the two reads.
                continue
            children[f"child {pid}"] = command.decode(errors="replace").strip() or "(a zombie)"
    return children


def live_threads() -> dict[str, str]:
    return {f"thread {thread.ident}": thread.name for thread in threading.enumerate()}
