"""A process is asked what it is doing, whatever it is doing. Real processes, which hang for real."""

import inspect
import os
import signal
import time
from collections.abc import Callable

import pytest

from bicorn.reserved import END_MARK, TASKS_MARK
from bicorn.supervisor import inquiry
from bicorn.supervisor.loop import Loop
from bicorn.supervisor.process import state_of
from bicorn.supervisor.stacks import Stacks
from bicorn.supervisor.witness import Witness
from tests.process.apps.hanging import (
    in_a_deadlock,
    in_busy_python,
    in_c_with_the_gil,
    in_sleep,
)
from tests.support import hanging as ways
from tests.support.hanging import ask, ask_until, hanging, until


def place_of(work: Callable[[], None]) -> str:
    """The line on which the function ends up, as a report names it."""
    lines, first = inspect.getsourcelines(work)
    return f'File "{inspect.getfile(work)}", line {first + len(lines) - 1} in {work.__name__}'


def innermost(stacks: Stacks) -> str:
    frame = stacks.main_thread.application_frame() if stacks.main_thread is not None else None
    return frame.text if frame is not None else ""


@pytest.mark.parametrize(
    ("work", "is_python_running"),
    [
        (in_sleep, True),
        (in_a_deadlock, True),
        (in_c_with_the_gil, False),
    ],
)
def test_file_and_line_of_what_hangs(
    loop: Loop, work: Callable[[], None], is_python_running: bool
) -> None:
    def is_there(stacks: Stacks) -> bool:
        # A busy machine may not come to run Python in time.
        return innermost(stacks) == place_of(work) and stacks.is_python_running >= is_python_running

    with hanging(loop, work) as (_, witness):
        stacks = ask_until(loop, witness, is_there)
    assert stacks.is_python_running is is_python_running
    assert stacks.trouble == ""
    assert stacks.tasks == []


def test_a_busy_loop(loop: Loop) -> None:
    with hanging(loop, in_busy_python) as (_, witness):
        ask_until(
            loop,
            witness,
            lambda stacks: "in in_busy_python" in innermost(stacks) and stacks.is_python_running,
        )


def test_every_thread_the_main_one_first(loop: Loop) -> None:
    with hanging(loop, ways.in_a_thread) as (_, witness):
        stacks = ask_until(
            loop,
            witness,
            lambda stacks: (
                [place_of(ways.in_a_thread), place_of(in_sleep)]
                == [
                    frame.text for thread in stacks.threads if (frame := thread.application_frame())
                ]
            ),
        )
    main, other = stacks.threads
    assert main.is_main
    assert not other.is_main
    assert main.identity != other.identity
    assert place_of(in_sleep) in [frame.text for frame in other.frames]


@pytest.mark.parametrize("work", [ways.in_an_event_loop, ways.in_uvloop])
def test_a_blocked_event_loop_still_tells_its_tasks(loop: Loop, work: Callable[[], None]) -> None:
    if work is ways.in_uvloop:
        pytest.importorskip("uvloop")
    with hanging(loop, work) as (_, witness):
        stacks = ask_until(
            loop,
            witness,
            lambda stacks: innermost(stacks) == place_of(in_sleep) and bool(stacks.tasks),
        )
    assert stacks.is_python_running
    tasks = "\n".join(stacks.tasks)
    assert "_block_the_loop, running" in stacks.tasks[0]
    assert "task 'other': _wait_for_a_stream (most recent call first):" in tasks
    # All the way to where it waits, through the asynchronous generator.
    order = [line.rpartition(" in ")[2] for line in stacks.tasks if line.startswith("  File")]
    assert order == ["wait", "_stream", "_wait_for_a_stream"]


def test_a_loop_that_waits_answers_and_goes_on(loop: Loop) -> None:
    with hanging(loop, ways.in_a_waiting_event_loop) as (_, witness):
        for _ in range(3):
            ask_until(loop, witness, lambda stacks: bool(stacks.tasks))


def test_it_comes_at_once_where_python_runs(loop: Loop) -> None:
    with hanging(loop, in_sleep) as (_, witness):
        durations = []
        for _ in range(5):
            begin = time.monotonic()
            ask(loop, witness)
            durations.append(time.monotonic() - begin)
    assert min(durations) < inquiry.SILENCE


def test_a_stopped_process_is_named_and_not_asked(loop: Loop) -> None:
    with hanging(loop, in_sleep) as (pid, witness):
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        stacks = ask(loop, witness)
        assert stacks.threads == []
        assert stacks.process_state == "T"
        assert stacks.trouble.startswith("is stopped (state T")
        os.kill(pid, signal.SIGCONT)
        # No answer to the former question comes before this one's.
        ask_until(loop, witness, lambda stacks: innermost(stacks) == place_of(in_sleep))


def test_one_that_holds_the_signal_back(loop: Loop) -> None:
    def blocks() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        in_sleep()

    with hanging(loop, blocks) as (_, witness):
        stacks = ask_until(loop, witness, lambda stacks: bool(stacks.trouble), limit=0.05)
    assert stacks.trouble.startswith("has not answered")


def test_one_that_ends_meanwhile(loop: Loop) -> None:
    with hanging(loop, lambda: None) as (pid, witness):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ask(loop, witness).trouble == "has ended"
        witness.close()
        assert ask(loop, witness).trouble == "has ended"


def test_several_who_ask_share_an_answer(loop: Loop) -> None:
    answers: list[Stacks] = []
    with hanging(loop, in_sleep) as (_, witness):
        for _ in range(3):
            witness.ask(answers.append)
        until(loop, lambda: len(answers) == 3)
    assert len(set(answers)) == 1


def test_who_waits_is_answered_when_the_worker_is_given_up(loop: Loop) -> None:
    answers: list[Stacks] = []
    with hanging(loop, in_sleep) as (_, witness):
        witness.ask(answers.append)
        witness.close()
        assert len(answers) == 1
        witness.close()


def test_many_at_once(loop: Loop) -> None:
    answers: list[Stacks] = []
    with (
        hanging(loop, in_sleep) as (_, first),
        hanging(loop, in_c_with_the_gil) as (_, second),
        hanging(loop, ways.in_a_waiting_event_loop) as (_, third),
    ):
        for witness in (first, second, third):
            witness.ask(answers.append, ways.PATIENCE)
        until(loop, lambda: len(answers) == 3)
    assert all(stacks.threads for stacks in answers)


def test_what_was_written_before_is_not_the_answer(loop: Loop) -> None:
    reader, writer = os.pipe()
    os.write(writer, f"Thread 0x1 (most recent call first):\n  old\n{END_MARK}\n".encode())
    witness = Witness(loop, os.getpid(), reader)
    former = signal.signal(inquiry.REPORT_SIGNAL, lambda *_: os.write(writer, answer))
    # The end of a former answer comes after the question, before what is asked for.
    answer = (
        f"{TASKS_MARK}\ntask 'old'\n{END_MARK}\n"
        f"Thread 0x2 (most recent call first):\n  new\n{TASKS_MARK}\ntask 'new'\n{END_MARK}\n"
    ).encode()
    try:
        stacks = ask(loop, witness)
    finally:
        signal.signal(inquiry.REPORT_SIGNAL, former)
        witness.close()
        os.close(writer)
    assert ways.told(stacks) == [["new"]]
    assert stacks.tasks == ["task 'new'"]


def test_one_that_writes_without_end_is_given_up(loop: Loop) -> None:
    def floods(writer: int) -> None:
        while True:
            os.write(writer, b"x" * 65536)

    reader, writer = os.pipe()
    former = signal.signal(inquiry.REPORT_SIGNAL, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        try:
            floods(writer)
        finally:
            os._exit(0)
    os.close(writer)
    witness = Witness(loop, pid, reader)
    try:
        assert ask(loop, witness).threads == []
    finally:
        signal.signal(inquiry.REPORT_SIGNAL, former)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        witness.close()


def test_a_process_that_is_no_more() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert state_of(pid) == ""


def test_one_whose_process_is_not_known_yet(loop: Loop) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    witness = Witness(loop, 0, reader)
    assert ask(loop, witness).trouble == "has not begun"
    witness.close()
