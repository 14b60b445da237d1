"""Who follows whom: the one operation behind reloads, crashes, recycling and scaling, without a process."""

import os
import socket
from collections.abc import Iterator

import pytest

from bicorn.config import Config
from bicorn.supervisor.channel import Channel
from bicorn.supervisor.generation import Generation
from bicorn.supervisor.handle import WorkerHandle, WorkerState
from bicorn.supervisor.loop import Loop
from bicorn.supervisor.place import Place
from bicorn.supervisor.roster import Roster
from bicorn.supervisor.witness import Witness


class Crew:
    """A roster whose workers are handles without a process, and what became of them."""

    def __init__(self, workers: int, surge: int) -> None:
        self.config = Config(workers=workers, reload_surge=surge)
        self.now = 0.0
        self.retired: list[WorkerHandle] = []
        self._ours, self._theirs = socket.socketpair()
        self.channel = Channel(self._ours)
        self._loop = Loop()
        self.witness = Witness(self._loop, 0, os.open(os.devnull, os.O_RDONLY))
        self.roster = Roster(Generation(1, self.config, []), self._start, self._retire)

    def close(self) -> None:
        self.witness.close()
        self._loop.close()
        self._ours.close()
        self._theirs.close()

    def _start(self, place: Place, generation: Generation) -> WorkerHandle:
        return WorkerHandle(place, generation, 0, self.channel, self.witness, self.now)

    def _retire(self, worker: WorkerHandle, cause: str) -> None:
        worker.cause = cause
        worker.enter(WorkerState.DRAINING)
        self.retired.append(worker)

    def step(self, seconds: float = 10.0) -> None:
        self.now += seconds
        self.roster.step(self.now)

    @property
    def starting(self) -> list[WorkerHandle]:
        return [one for one in self.roster.workers if one.state is WorkerState.STARTING]

    def ready(self) -> None:
        """Whoever is starting becomes ready."""
        for worker in self.starting:
            self.roster.note_ready(worker, self.now)

    def end(self, worker: WorkerHandle) -> bool:
        worker.enter(WorkerState.ENDED)
        return self.roster.note_end(worker, self.now)

    def end_retired(self) -> None:
        for worker in self.retired:
            self.end(worker)
        self.retired.clear()

    def reload(self) -> Generation:
        generation = Generation(self.roster.current.number + 1, self.config, [])
        self.roster.reload(generation)
        return generation

    def serving(self) -> list[int]:
        """The generations of those that serve."""
        return sorted(one.generation.number for one in self.roster.workers if one.is_serving)


@pytest.fixture
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    """Three workers that serve, and a surge of one, unless the test says otherwise."""
    crew = Crew(*getattr(request, "param", (3, 1)))
    crew.step()
    crew.ready()
    yield crew
    crew.close()


def test_every_place_gets_a_worker(crew: Crew) -> None:
    assert crew.serving() == [1, 1, 1]
    crew.step()
    assert not crew.starting
    assert crew.roster.is_complete


def test_a_reload_replaces_one_after_the_other_and_never_serves_with_fewer(crew: Crew) -> None:
    crew.reload()
    for count in range(1, 4):
        crew.step()
        crew.step()
        assert len(crew.starting) == 1
        assert not crew.retired
        crew.ready()
        assert len(crew.retired) == 1
        assert crew.serving() == [1] * (3 - count) + [2] * count
        # Until the predecessor has ended, no other begins: memory stays bounded.
        crew.step()
        assert not crew.starting
        crew.end_retired()
    crew.step()
    assert not crew.starting
    assert crew.roster.is_complete


@pytest.mark.parametrize("crew", [(4, 2)], indirect=True)
def test_a_larger_surge_replaces_several_once_the_first_has_shown_that_it_lives(
    crew: Crew,
) -> None:
    crew.reload()
    crew.step()
    assert len(crew.starting) == 1
    crew.ready()
    crew.end_retired()
    crew.step()
    assert len(crew.starting) == 2


def test_a_reload_whose_first_worker_fails_changes_nothing(crew: Crew) -> None:
    former = crew.roster.current
    crew.reload()
    crew.step()
    (trial,) = crew.starting
    assert crew.end(trial) is True
    crew.step()
    assert not crew.starting
    assert crew.serving() == [1, 1, 1]
    assert crew.roster.current is former
    assert crew.roster.candidate is None


def test_a_reload_during_a_reload_takes_the_place_of_its_trial(crew: Crew) -> None:
    crew.reload()
    crew.step()
    (trial,) = crew.starting
    crew.reload()
    assert crew.retired == [trial]
    assert crew.end(trial) is False
    crew.step()
    (second,) = crew.starting
    assert second.generation is crew.roster.candidate


def test_one_that_dies_is_followed_at_once_and_while_others_are_replaced(crew: Crew) -> None:
    crew.reload()
    crew.step()
    victim = next(one for one in crew.roster.workers if one.place.number == 2)
    crew.now += 100
    crew.end(victim)
    crew.step(0)
    assert {one.place.number for one in crew.starting} == {0, 2}
    # The code on trial has not shown yet that it lives.
    assert {one.generation.number for one in crew.starting} == {1, 2}


def test_a_crash_loop_waits_and_a_reload_does_not(crew: Crew) -> None:
    victim = crew.roster.workers[0]
    for _ in range(3):
        crew.end(victim)
        crew.now = max(crew.now, victim.place.start_at)
        crew.step(0)
        (victim,) = crew.starting
    crew.end(victim)
    crew.step(0)
    assert not crew.starting
    assert crew.roster.next_start(crew.now) == victim.place.start_at > crew.now
    crew.reload()
    crew.step(0)
    assert [one.generation.number for one in crew.starting] == [2]


def test_recycling_keeps_the_generation_and_the_place(crew: Crew) -> None:
    worker = crew.roster.workers[1]
    crew.roster.wish(worker.place, "it has served enough")
    crew.step()
    assert crew.roster.is_replacing
    (successor,) = crew.starting
    assert successor.place is worker.place
    assert successor.generation is worker.generation
    crew.ready()
    assert worker.cause == "it has served enough"
    assert crew.roster.is_replacing
    crew.end_retired()
    assert not crew.roster.is_replacing
    crew.step()
    assert not crew.starting


def test_one_that_hangs_goes_first(crew: Crew) -> None:
    hung = crew.roster.workers[2]
    hung.enter(WorkerState.HUNG)
    for worker in crew.roster.workers:
        crew.roster.wish(worker.place, "a reason")
    crew.step()
    (successor,) = crew.starting
    assert successor.place is hung.place


def test_scaling(crew: Crew) -> None:
    crew.roster.resize(5)
    crew.step()
    crew.ready()
    assert crew.serving() == [1] * 5
    crew.roster.resize(2)
    assert [one.place.number for one in crew.retired] == [4, 3, 2]
    crew.end_retired()
    crew.step()
    assert not crew.starting


def test_one_that_is_ready_for_a_place_that_is_gone_goes_too(crew: Crew) -> None:
    crew.roster.resize(4)
    crew.step()
    (late,) = crew.starting
    crew.roster.resize(3)
    assert crew.retired == [late]
    assert not crew.roster.note_ready(late, crew.now)


def test_a_pause_and_back(crew: Crew) -> None:
    crew.roster.pause("another parent serves")
    assert len(crew.retired) == 3
    crew.end_retired()
    crew.step()
    assert not crew.roster.workers
    crew.reload()
    crew.step()
    assert len(crew.starting) == 3
    assert {one.generation.number for one in crew.starting} == {2}
    crew.ready()
    assert crew.roster.is_complete
