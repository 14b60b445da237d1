"""What the parent knows of a worker, with real child processes."""

import os
import signal
from collections.abc import Callable

import pytest

from bicorn.supervisor import deaths
from bicorn.supervisor.handle import WorkerHandle, WorkerState


def fork(child: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    return pid


def test_its_life(worker: WorkerHandle) -> None:
    worker.note_born(fork(signal.pause))
    assert worker.state is WorkerState.STARTING
    assert worker.enter(WorkerState.READY)
    assert not worker.enter(WorkerState.READY)
    assert worker.enter(WorkerState.HUNG)
    assert worker.enter(WorkerState.READY)
    assert worker.enter(WorkerState.DRAINING)
    assert not worker.enter(WorkerState.READY)
    worker.kill()
    assert worker.state is WorkerState.DYING
    os.waitpid(worker.pid, 0)
    assert worker.enter(WorkerState.ENDED)
    assert not worker.enter(WorkerState.DYING)


def test_what_it_is_told_before_it_is_born_reaches_it(worker: WorkerHandle) -> None:
    worker.signal(signal.SIGUSR1)
    worker.note_born(fork(signal.pause))
    assert os.WTERMSIG(os.waitpid(worker.pid, 0)[1]) == signal.SIGUSR1


def test_nothing_is_sent_to_a_process_that_has_ended(worker: WorkerHandle) -> None:
    worker.note_born(fork(lambda: None))
    os.waitpid(worker.pid, 0)
    worker.enter(WorkerState.ENDED)
    # The number is free by now, and may be another process's.
    worker.kill()
    assert worker.state is WorkerState.ENDED


@pytest.mark.parametrize(
    ("child", "cause"),
    [
        (lambda: os._exit(0), "exited with status 0"),
        (lambda: os._exit(7), "exited with status 7"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGRTMIN + 5), "was killed by signal 39"),
    ],
)
def test_its_end_in_words(child: Callable[[], object], cause: str) -> None:
    assert deaths.describe(os.waitpid(fork(child), 0)[1]) == cause
