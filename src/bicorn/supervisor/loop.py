"""The parent's loop: descriptors to wait for, and things to do at a time.

Owns waiting, and nothing else. Everything that it calls runs in one thread and must not block: the parent
answers for all workers. Times are seconds of the monotonic clock.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class HasFileno(Protocol):
        def fileno(self) -> int: ...


ERROR_PAUSE = 0.1
"""Seconds without anything else after a callback has failed."""

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Timer:
    """A call that is due at a time, unless it is cancelled before."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """Waits, and calls."""

    def __init__(self, on_error: Callable[[Exception], None] | None = None) -> None:
        """``on_error`` is told of what a callback raises, and the loop goes on; without it, it is raised."""
        self._on_error = on_error
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    @staticmethod
    def now() -> float:
        return time.monotonic()

    def watch(
        self, source: HasFileno | int, callback: Callable[[], None], events: int = READ
    ) -> None:
        """Calls back whenever the descriptor is ready, until `unwatch`; a second watch replaces the first."""
        try:
            self._selector.modify(source, events, callback)
        except KeyError:
            self._selector.register(source, events, callback)

    def unwatch(self, source: HasFileno | int) -> None:
        """Stops watching, if it was watched. Before the descriptor is closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(source)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(when, callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return self.call_at(self.now() + delay, callback)

    def run_once(self) -> None:
        """Waits until something is ready or due, and calls what is."""
        ready = self._selector.select(self._timeout())
        for key, _ in ready:
            # One that a callback of this very round has stopped watching is not called.
            if self._selector.get_map().get(key.fd) is key:
                self._call(key.data)
        self._call_what_is_due()

    def close(self) -> None:
        self._selector.close()
        self._timers.clear()

    def _timeout(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self.now()) if self._timers else None

    def _call_what_is_due(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                self._call(timer.callback)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:
            if self._on_error is None:
                raise
            self._on_error(error)
            # What has failed may be ready still: no loop without a pause, and no log without an end.
            time.sleep(ERROR_PAUSE)
