"""A report says in its first line what is wrong, and below it all that is known."""

import _thread
from collections.abc import Sequence

from bicorn.supervisor.report import MOST_REQUESTS, Subject, blocked_for, render
from bicorn.supervisor.stacks import Stacks

MAIN = f"Current thread {_thread.get_ident():#018x} (most recent call first):"
IN_VIEW = Stacks(f'{MAIN}\n  File "/srv/app.py", line 12 in view\n'.encode())
NOW = 1000.0


class Facts:
    """A scoreboard of one slot, as it stands when a worker hangs."""

    def __init__(
        self, requests: Sequence[tuple[str, str, str, str, int]] = (), /, **counters: int
    ) -> None:
        self._requests = requests
        self._counters = counters

    def read(self, slot: int) -> dict[str, int]:
        assert slot == 2
        return self._counters

    def requests(self, slot: int) -> Sequence[tuple[str, str, str, str, int]]:
        assert slot == 2
        return self._requests


def subject(state: str = "serving", beat_interval: float = 0.0) -> Subject:
    return Subject(4711, 2, 3, 400.0, state, beat_interval=beat_interval)


SLOW = ("7-1", "GET", "/slow", "192.0.2.7:4711", 30200)
QUICK = ("7-2", "GET", "/quick", "192.0.2.8:4711", 100)


def test_what_is_wrong_stands_in_the_first_line() -> None:
    board = Facts([QUICK, SLOW], heartbeat_ms=969_800, turn=1, exchanges=2, requests=41)
    text = render(subject(), board, IN_VIEW, NOW)
    assert text.splitlines()[0] == (
        'worker 4711 has not come back for 30.2 s: File "/srv/app.py", line 12 in view, '
        "doing GET /slow (request 7-1) and 1 other"
    )
    assert "  worker 4711: serving, slot 2, generation 3, 600.0 s old\n" in text
    assert "  last sign of life 30.2 s ago, in a turn of its loop\n" in text
    assert "2 requests in hand, 41 answered" in text
    assert (
        "requests in flight, 2:\n  7-1 GET /slow from 192.0.2.7:4711, 30.2 s\n  7-2 GET /quick"
        in text
    )
    assert '\n    File "/srv/app.py", line 12 in view\n' in text
    assert "a call in C" in text


def test_the_request_of_the_task_that_runs_is_the_one() -> None:
    told = Stacks(f'{MAIN}\n  File "/a.py", line 1 in f\n@tasks\n@doing GET /b\n@end\n'.encode())
    board = Facts([SLOW, QUICK], heartbeat_ms=990_000, turn=1)
    text = render(subject(), board, told, NOW)
    assert text.splitlines()[0].endswith('File "/a.py", line 1 in f, doing GET /b')
    assert "a call in C" not in text


def test_with_its_identity_where_only_one_can_be_meant() -> None:
    told = Stacks(
        f'{MAIN}\n  File "/a.py", line 1 in f\n@tasks\n@doing GET /quick\n@end\n'.encode()
    )
    for requests, end in (
        ([SLOW, QUICK], "doing GET /quick (request 7-2)"),
        ([QUICK, QUICK], "doing GET /quick"),
    ):
        board = Facts(requests, heartbeat_ms=990_000, turn=1)
        assert render(subject(), board, told, NOW).splitlines()[0].endswith(end)


def test_one_that_is_well() -> None:
    board = Facts(heartbeat_ms=999_900)
    text = render(subject(), board, Stacks(f"{MAIN}\n  x\n".encode()), NOW)
    assert text.splitlines()[0] == "worker 4711 (serving) is not blocked"


def test_one_that_is_stopped() -> None:
    text = render(subject(), Facts(), Stacks(trouble="is stopped"), NOW)
    assert text.splitlines()[0] == "worker 4711 (serving) is stopped"


def test_one_that_starts() -> None:
    for state in ("starting", "dying"):
        text = render(subject(state), Facts(), IN_VIEW, NOW)
        assert text.splitlines()[0] == (
            'worker 4711 has been starting for 600.0 s: File "/srv/app.py", line 12 in view'
        )


def test_tasks_are_listed() -> None:
    told = Stacks(f"{MAIN}\n@tasks\ntask 'a'\n  File x\n@end\n".encode())
    assert render(subject(), Facts(), told, NOW).endswith(
        "asyncio tasks:\n  task 'a'\n    File x\n"
    )


def test_paths_of_strangers_are_harmless() -> None:
    board = Facts([("7-1", "GET", "/\x1b[2J\n\u202e", "[::1]:1", 1)], heartbeat_ms=1, turn=1)
    text = render(subject(), board, IN_VIEW, NOW)
    assert text.replace("\n", "").isprintable()
    assert text.count("\\x1b[2J\\n\\u202e") == 2


def test_not_every_request_of_thousands_is_listed() -> None:
    requests = [(f"7-{n}", "GET", "/", "-", n) for n in range(MOST_REQUESTS + 5)]
    lines = render(subject(), Facts(requests), IN_VIEW, NOW).splitlines()
    assert sum(" GET / from" in line for line in lines) == MOST_REQUESTS
    assert "  and 5 more" in lines
    assert f"  7-{MOST_REQUESTS + 4} GET / from -, 0.1 s" in lines


def test_when_a_worker_is_late() -> None:
    def late(state: Subject, **counters: int) -> float:
        return blocked_for(state, counters, NOW)

    assert late(subject()) == 0
    assert late(subject(), heartbeat_ms=970_000, turn=1) == 30
    assert late(subject(), heartbeat_ms=999_001, turn=1) == 0
    # Where no beat is due, silence is no fault.
    assert late(subject(), heartbeat_ms=970_000) == 0
    assert late(subject(beat_interval=0.5), heartbeat_ms=970_000) == 30
    assert late(subject(beat_interval=0.5), heartbeat_ms=999_001) == 0
    # Where it has to show itself often, it is late sooner.
    assert late(subject(beat_interval=0.05), heartbeat_ms=999_801) == 0
    assert late(subject(beat_interval=0.05), heartbeat_ms=999_750) == 0.25
