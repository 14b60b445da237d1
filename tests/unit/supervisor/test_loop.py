"""The parent's loop calls what is ready and what is due, in order, and nothing that was called off."""

import os
from collections.abc import Iterator

import pytest

from bicorn.supervisor.loop import Loop


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_timers_are_called_in_their_order(loop: Loop) -> None:
    called: list[str] = []
    now = loop.now()
    loop.call_at(now - 1, lambda: called.append("second"))
    loop.call_at(now - 2, lambda: called.append("first"))
    loop.call_at(now - 1, lambda: called.append("third"))
    loop.run_once()
    assert called == ["first", "second", "third"]


def test_a_cancelled_timer_is_not_waited_for(loop: Loop, pipe: tuple[int, int]) -> None:
    called: list[str] = []
    loop.call_later(0, lambda: called.append("wrong")).cancel()
    loop.call_later(0, lambda: called.append("right"))
    loop.run_once()
    assert called == ["right"]


def test_a_descriptor_is_called_while_it_is_watched(loop: Loop, pipe: tuple[int, int]) -> None:
    called: list[str] = []
    loop.watch(pipe[0], lambda: called.append("former"))
    loop.watch(pipe[0], lambda: called.append("latter"))
    os.write(pipe[1], b".")
    loop.run_once()
    loop.unwatch(pipe[0])
    loop.unwatch(pipe[0])
    loop.call_later(0, lambda: called.append("timer"))
    loop.run_once()
    assert called == ["latter", "timer"]


def test_one_that_is_called_may_stop_the_watch_of_another(loop: Loop) -> None:
    called: list[int] = []
    first, second = os.pipe(), os.pipe()

    def end_both(reader: int) -> None:
        called.append(reader)
        loop.unwatch(first[0])
        loop.unwatch(second[0])

    for reader, writer in (first, second):
        os.write(writer, b".")
        loop.watch(reader, lambda reader=reader: end_both(reader))  # type: ignore[misc]
    loop.run_once()
    assert len(called) == 1
    for end in (*first, *second):
        os.close(end)


def test_one_that_raises_does_not_stop_the_others() -> None:
    errors: list[Exception] = []
    called: list[str] = []
    loop = Loop(errors.append)
    loop.call_at(loop.now() - 2, lambda: called.append(1 // 0))  # type: ignore[arg-type]
    loop.call_at(loop.now() - 1, lambda: called.append("next"))
    loop.run_once()
    loop.close()
    assert called == ["next"]
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_what_is_raised_is_raised_where_nobody_is_told(loop: Loop) -> None:
    loop.call_later(0, lambda: {}["nothing"])
    with pytest.raises(KeyError):
        loop.run_once()
