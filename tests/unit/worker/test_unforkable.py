"""What was started is named, what has ended is not, and objects that lie about their type do no harm."""

import asyncio
import subprocess
import sys

from bicorn.worker.unforkable import warnings_of_import


class OwnLoop(asyncio.SelectorEventLoop):
    """Known by its name."""


class HalfMade(asyncio.AbstractEventLoop):
    """Knows not whether it is closed."""


class Liar:
    """Like a framework's proxy outside a request."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("working outside of request context")


def told_of(kind: str) -> str:
    return "\n".join(line for line in warnings_of_import() if kind in line)


def printed_by(*lines: str) -> str:
    """What a process of its own prints: this one has threads of other tests."""
    head = (
        "import _thread, threading",
        "from bicorn.worker.unforkable import warnings_of_import",
        "def told(): return [line for line in warnings_of_import() if 'threads' in line]",
        "release = threading.Event()",
    )
    command = [sys.executable, "-c", "\n".join((*head, *lines))]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_threads_that_run_are_named() -> None:
    told = printed_by(
        "thread = threading.Thread(target=release.wait, name='refresher')",
        "thread.start()",
        "print(told())",
        "release.set()",
        "thread.join()",
        "print(told())",
    )
    assert "'refresher'" in told.splitlines()[0]
    assert told.splitlines()[1] == "[]"


def test_a_thread_that_python_does_not_know() -> None:
    told = printed_by("_thread.start_new_thread(release.wait, ())", "print(told())")
    assert "(of a library in C)" in told


def test_a_long_list_is_cut() -> None:
    told = printed_by(
        "for _ in range(12): threading.Thread(target=release.wait, daemon=True).start()",
        "print(told())",
    )
    assert " and 4 more: " in told


def test_an_open_loop_is_named_by_its_type() -> None:
    loop = OwnLoop()
    assert f"{OwnLoop.__module__}.OwnLoop" in told_of("event loop")
    loop.close()
    assert "OwnLoop" not in told_of("event loop")


def test_objects_that_are_hard_to_look_at() -> None:
    liar, half_made = Liar(), HalfMade()
    assert "HalfMade" not in told_of("event loop")
    del liar, half_made
