"""What was started is named, what has ended is not, and objects that lie about their type do no harm."""

import _thread
import asyncio
import threading
from collections.abc import Iterator

import pytest

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


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def told_of(kind: str) -> str:
    return "\n".join(line for line in warnings_of_import() if kind in line)


def test_threads_that_run_are_named(release: threading.Event) -> None:
    thread = threading.Thread(target=release.wait, name="refresher")
    thread.start()
    assert "'refresher'" in told_of("threads")
    release.set()
    thread.join()
    assert "refresher" not in told_of("threads")


def test_a_thread_that_python_does_not_know() -> None:
    lock, ended = _thread.allocate_lock(), _thread.allocate_lock()
    lock.acquire()
    ended.acquire()

    def wait() -> None:
        lock.acquire()
        ended.release()

    _thread.start_new_thread(wait, ())
    try:
        assert "(of a library in C)" in told_of("threads")
    finally:
        lock.release()
        ended.acquire()
    assert "(of a library in C)" not in told_of("threads")


def test_a_long_list_is_cut(release: threading.Event) -> None:
    threads = [threading.Thread(target=release.wait) for _ in range(12)]
    for thread in threads:
        thread.start()
    assert " and 4 more: " in told_of("threads")
    release.set()
    for thread in threads:
        thread.join()


def test_an_open_loop_is_named_by_its_type() -> None:
    loop = OwnLoop()
    assert f"{OwnLoop.__module__}.OwnLoop" in told_of("event loop")
    loop.close()
    assert "OwnLoop" not in told_of("event loop")


def test_objects_that_are_hard_to_look_at() -> None:
    liar, half_made = Liar(), HalfMade()
    assert "HalfMade" not in told_of("event loop")
    del liar, half_made
