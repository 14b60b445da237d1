"""Signals arrive as events, in their order, and stay out of the way of a fork."""

import os
import selectors
import signal
from collections.abc import Iterator

import pytest

from bicorn.supervisor.signals import SignalPipe


@pytest.fixture
def signals() -> Iterator[SignalPipe]:
    pipe = SignalPipe((signal.SIGUSR1, signal.SIGUSR2))
    yield pipe
    pipe.close()


def test_they_are_received_in_their_order(signals: SignalPipe) -> None:
    assert signals.receive() == []
    for number in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2):
        signal.raise_signal(number)
    assert signals.receive() == [signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2]


def test_they_wake_a_loop(signals: SignalPipe) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(signals, selectors.EVENT_READ)
        assert selector.select(0) == []
        signal.raise_signal(signal.SIGUSR1)
        assert len(selector.select(10)) == 1


def test_they_wait_while_a_child_is_forked(signals: SignalPipe) -> None:
    """What is meant for the child ends it, by its default; what is meant for the parent is not lost."""
    pid = signals.fork(lambda: signal.raise_signal(signal.SIGUSR1))
    if pid == 0:
        os._exit(0)
    signal.raise_signal(signal.SIGUSR2)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGUSR1
    assert signals.receive() == [signal.SIGUSR2]


def test_closing_leaves_the_process_as_it_was() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    pipe = SignalPipe((signal.SIGUSR1,))
    assert signal.getsignal(signal.SIGUSR1) is not before
    pipe.close()
    pipe.close()
    assert signal.getsignal(signal.SIGUSR1) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_at_the_end_a_repeated_signal_does_nothing() -> None:
    former = signal.getsignal(signal.SIGUSR1)
    try:
        SignalPipe((signal.SIGUSR1,)).close(is_end=True)
        signal.raise_signal(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, former)
