"""What the parent knows of a worker, with real child processes."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from bicorn.supervisor.channel import Channel
from bicorn.supervisor.handle import WorkerHandle, WorkerState
from bicorn.supervisor.slot import Slot

Fork = Callable[[Callable[[], object]], WorkerHandle]


@pytest.fixture
def fork() -> Iterator[Fork]:
    with ExitStack() as ends:

        def fork_one(child: Callable[[], object]) -> WorkerHandle:
            pid = os.fork()
            if pid == 0:
                child()
                os._exit(0)
            ours, theirs = socket.socketpair()
            theirs.close()
            handle = WorkerHandle(Slot(0), pid, Channel(ours), time.monotonic())
            ends.callback(reap, handle)
            return handle

        yield fork_one


def reap(handle: WorkerHandle) -> None:
    if handle.state is not WorkerState.ENDED:
        handle.kill()
        handle.note_end(os.waitpid(handle.pid, 0)[1])


def test_its_life(fork: Fork) -> None:
    worker = fork(signal.pause)
    assert worker.state is WorkerState.STARTING
    assert worker.note_ready()
    assert not worker.note_ready()
    worker.stop()
    assert worker.state is WorkerState.STOPPING
    assert not worker.note_ready()
    worker.note_end(os.waitpid(worker.pid, 0)[1])
    assert worker.state is WorkerState.ENDED
    assert worker.cause == "was killed by SIGTERM"
    assert worker.channel.fileno() == -1


def test_nothing_is_sent_to_a_process_that_has_ended(fork: Fork) -> None:
    worker = fork(lambda: None)
    worker.note_end(os.waitpid(worker.pid, 0)[1])
    # The number is free by now, and may be another process's.
    worker.stop()
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
def test_its_end_in_words(fork: Fork, child: Callable[[], object], cause: str) -> None:
    worker = fork(child)
    worker.note_end(os.waitpid(worker.pid, 0)[1])
    assert worker.cause == cause
