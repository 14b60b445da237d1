"""When a slot starts its next worker."""

from bicorn.supervisor.slot import LONGEST_WAIT, SHORTEST_LIFE, Slot


def test_a_worker_that_had_lived_is_followed_at_once() -> None:
    slot = Slot(0)
    for start in (0.0, 50.0, 100.0):
        slot.note_end(start, start + SHORTEST_LIFE, was_ready=True)
        assert slot.start_at == start + SHORTEST_LIFE


def test_the_first_that_was_ready_and_ended_soon_is_followed_at_once_and_the_next_ones_are_not() -> (
    None
):
    slot = Slot(0)
    slot.note_end(10.0, 10.1, was_ready=True)
    assert slot.start_at == 10.1
    slot.note_end(10.1, 10.2, was_ready=True)
    assert slot.start_at == 12.1
    slot.note_end(12.1, 12.2, was_ready=True)
    assert slot.start_at == 16.1


def test_starts_that_fail_are_one_second_apart_then_two_up_to_thirty() -> None:
    slot, started, waits = Slot(0), 0.0, []
    for _ in range(8):
        slot.note_end(started, started + 0.2, was_ready=False)
        waits.append(slot.start_at - started)
        started = slot.start_at
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert waits[-1] == LONGEST_WAIT


def test_a_long_start_in_vain_counts_as_one() -> None:
    slot = Slot(0)
    slot.note_end(0.0, 500.0, was_ready=False)
    assert slot.start_at == 1.0


def test_after_a_life_the_wait_begins_anew() -> None:
    slot = Slot(0)
    for _ in range(5):
        slot.note_end(0.0, 0.1, was_ready=False)
    slot.note_end(100.0, 200.0, was_ready=True)
    assert slot.start_at == 200.0
    slot.note_end(200.0, 200.1, was_ready=False)
    assert slot.start_at == 201.0


def test_no_process_from_the_kernel_is_a_start_in_vain() -> None:
    slot = Slot(0)
    slot.note_no_start(5.0)
    assert slot.start_at == 6.0
