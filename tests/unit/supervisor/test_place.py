"""When a place starts its next worker."""

from bicorn.supervisor.place import LONGEST_WAIT, SHORTEST_LIFE, Place


def test_a_worker_that_had_lived_is_followed_at_once() -> None:
    place = Place(0)
    for start in (0.0, 50.0, 100.0):
        place.note_end(start, start + SHORTEST_LIFE, was_ready=True)
        assert place.start_at == start + SHORTEST_LIFE


def test_the_first_that_was_ready_and_ended_soon_is_followed_at_once_and_the_next_ones_are_not() -> (
    None
):
    place = Place(0)
    place.note_end(10.0, 10.1, was_ready=True)
    assert place.start_at == 10.1
    place.note_end(10.1, 10.2, was_ready=True)
    assert place.start_at == 12.1
    place.note_end(12.1, 12.2, was_ready=True)
    assert place.start_at == 16.1


def test_starts_that_fail_are_one_second_apart_then_two_up_to_thirty() -> None:
    place, started, waits = Place(0), 0.0, []
    for _ in range(8):
        place.note_end(started, started + 0.2, was_ready=False)
        waits.append(place.start_at - started)
        started = place.start_at
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert waits[-1] == LONGEST_WAIT


def test_a_long_start_in_vain_counts_as_one() -> None:
    place = Place(0)
    place.note_end(0.0, 500.0, was_ready=False)
    assert place.start_at == 1.0


def test_after_a_life_the_wait_begins_anew() -> None:
    place = Place(0)
    for _ in range(5):
        place.note_end(0.0, 0.1, was_ready=False)
    place.note_end(100.0, 200.0, was_ready=True)
    assert place.start_at == 200.0
    place.note_end(200.0, 200.1, was_ready=False)
    assert place.start_at == 201.0


def test_no_process_from_the_kernel_is_a_start_in_vain() -> None:
    place = Place(0)
    place.note_no_start(5.0)
    assert place.start_at == 6.0
