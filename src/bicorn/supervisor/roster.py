"""Who serves: places, the workers in them, and the one operation by which a worker is followed by another.

A reload, a crash, recycling, a hang and scaling all come down to `step`: a successor is started, and takes over
when it is ready; only then is the predecessor told to go. One that fails leaves the predecessor serving. Owns
which of them may run at a time. How a process is made, how it is ended, and why it should be are others'.
"""

from __future__ import annotations

from bicorn.supervisor.handle import WorkerState
from bicorn.supervisor.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bicorn.supervisor.generation import Generation
    from bicorn.supervisor.handle import WorkerHandle

    Start = Callable[[Place, Generation], WorkerHandle | None]
    Retire = Callable[[WorkerHandle, str], None]


FEWER = "there are to be fewer workers"


class Roster:
    """``start`` makes a worker, or none where the kernel refuses; ``retire`` has one finish and end."""

    def __init__(self, generation: Generation, start: Start, retire: Retire) -> None:
        self.current = generation
        self.candidate: Generation | None = None
        self.places = [Place(number) for number in range(generation.config.workers)]
        self.workers: list[WorkerHandle] = []
        self.is_paused = False
        self._start = start
        self._retire = retire

    # What is to be done

    def step(self, now: float) -> None:
        """Starts the workers that may start now."""
        if self.is_paused:
            return
        for place in self.places:
            if place.is_empty and place.start_at <= now:
                self._begin(place, self._next_generation(), now)
        for place in self._replaceable(now):
            if not self.has_room or self._is_on_trial():
                return
            self._begin(place, self._next_generation(), now)

    def next_start(self, now: float) -> float | None:
        """When `step` has something to do that it could not do now, whatever else happens."""
        waiting = [
            place.start_at
            for place in self.places
            if place.successor is None
            and place.start_at > now
            and (place.worker is None or self._is_wanted(place))
        ]
        return None if self.is_paused else min(waiting, default=None)

    def reload(self, generation: Generation) -> Generation | None:
        """Replaces every worker by one of this generation. Returns the one whose trial this ends, if any."""
        former, self.candidate = self.candidate, generation
        if former is not None:
            self._end_trial(former)
        if self.is_paused:
            # Nobody serves who could go on doing so.
            self.current, self.candidate = generation, None
            self.is_paused = False
        for place in self.places:
            place.start_at = 0.0
        return former

    def resize(self, count: int) -> None:
        """More or fewer places; the workers of those that go finish what they have."""
        while len(self.places) < count:
            self.places.append(Place(len(self.places)))
        while len(self.places) > count:
            self._leave(self.places.pop(), FEWER)

    def pause(self, reason: str) -> None:
        """Lets all workers finish and go, and starts none until a reload."""
        self.is_paused = True
        for place in self.places:
            self._leave(place, reason)

    def wish(self, place: Place, reason: str) -> None:
        """The worker there is to be replaced, for a reason that the log will give."""
        place.wish = place.wish or reason

    @property
    def is_replacing(self) -> bool:
        """Whether a replacement is under way, from its beginning to the end of the predecessor."""
        return self._surplus() > 0 or any(
            place.successor is not None and place.worker is not None for place in self.places
        )

    @property
    def has_room(self) -> bool:
        """Whether another worker may run beside those that there are."""
        return self._surplus() < self.current.config.reload_surge

    @property
    def is_complete(self) -> bool:
        """Whether every place has a worker of the current generation, and nothing is on trial."""
        return self.candidate is None and all(
            place.worker is not None and place.worker.generation is self.current
            for place in self.places
        )

    # What is heard of workers

    def note_ready(self, worker: WorkerHandle, now: float) -> bool:
        """A worker can serve. Returns whether that is news: one that was told to go may say so too late."""
        place = worker.place
        if place.successor is not worker or not worker.enter(WorkerState.READY):
            return False
        worker.ready_since = now
        if worker.generation is self.candidate:
            self.current, self.candidate = self.candidate, None
            self.resize(self.current.config.workers)
        wish = place.wish
        predecessor = place.take_over()
        if predecessor is not None:
            self._retire(predecessor, wish or "another took its place")
        if place not in self.places:
            self._leave(place, FEWER)
        return True

    def note_end(self, worker: WorkerHandle, now: float) -> bool:
        """A worker is gone. Returns whether that ended the trial of a reload."""
        self.workers.remove(worker)
        place = worker.place
        was_on_trial = worker.generation is self.candidate
        if place.successor is worker:
            place.successor = None
        elif place.worker is worker:
            place.worker = None
        else:
            return False
        place.note_end(worker.started, now, was_ready=worker.was_ready)
        if was_on_trial:
            self.candidate = None
            place.start_at = now
        return was_on_trial

    # Steps

    def _begin(self, place: Place, generation: Generation, now: float) -> None:
        worker = self._start(place, generation)
        if worker is None:
            place.note_no_start(now)
            return
        self.workers.append(worker)
        place.successor = worker

    def _replaceable(self, now: float) -> Iterator[Place]:
        """Places whose worker is to be followed by another, those that hang first."""
        wanted = [
            place
            for place in self.places
            if place.worker is not None
            and place.successor is None
            and place.start_at <= now
            and self._is_wanted(place)
        ]
        wanted.sort(key=lambda place: place.worker.state is not WorkerState.HUNG)  # type: ignore[union-attr]
        yield from wanted

    def _next_generation(self) -> Generation:
        return self.current if self.candidate is None or self._is_on_trial() else self.candidate

    def _is_on_trial(self) -> bool:
        """Whether one worker is showing that the new code can live, before the others are touched."""
        return any(worker.generation is self.candidate for worker in self.workers)

    def _is_wanted(self, place: Place) -> bool:
        newest = self.candidate or self.current
        return bool(place.wish) or (
            place.worker is not None and place.worker.generation is not newest
        )

    def _surplus(self) -> int:
        return len(self.workers) - len(self.places)

    def _leave(self, place: Place, reason: str) -> None:
        for worker in (place.worker, place.successor):
            if worker is not None:
                self._retire(worker, reason)
        place.worker = place.successor = None
        place.wish = ""

    def _end_trial(self, generation: Generation) -> None:
        for place in self.places:
            if place.successor is not None and place.successor.generation is generation:
                self._retire(place.successor, "another reload came")
                place.successor = None
