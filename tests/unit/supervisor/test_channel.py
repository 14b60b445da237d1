"""What a worker writes is what its parent reads, and what it writes besides does no harm."""

import socket
from collections.abc import Iterator

import pytest

from bicorn.supervisor.channel import FAILED, READY, Channel, Message
from bicorn.worker.channel import Channel as WorkerChannel

Ends = tuple[Channel, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        yield channel, theirs
    channel.close()


def fields(messages: list[Message]) -> list[tuple[str, int, str]]:
    return [(message.kind, message.status, message.text) for message in messages]


def test_both_kinds_of_message(ends: Ends) -> None:
    channel, theirs = ends
    worker = WorkerChannel(theirs)
    worker.ready("  serving  shop:app\n  try      curl ☕\n")
    worker.failed("Traceback\nno", 3)
    assert fields(channel.receive()) == [
        (READY, 0, "  serving  shop:app\n  try      curl ☕\n"),
        (FAILED, 3, "Traceback\nno"),
    ]
    assert not channel.is_at_end


def test_a_message_that_comes_byte_by_byte(ends: Ends) -> None:
    channel, theirs = ends
    received = []
    for byte in b"failed 5 4\na\nbc":
        theirs.sendall(bytes([byte]))
        received += channel.receive()
        assert not channel.is_at_end
    assert fields(received) == [(FAILED, 5, "a\nbc")]


def test_the_end(ends: Ends) -> None:
    channel, theirs = ends
    WorkerChannel(theirs).ready("")
    theirs.close()
    assert fields(channel.receive()) == [(READY, 0, "")]
    assert channel.is_at_end


@pytest.mark.parametrize(
    "noise",
    [
        b"\n\n",
        b"ready\n",
        b"ready 0 -1\n",
        b"ready \xc2\xb2 1\n",
        b"ready 0 " + b"9" * 5000 + b"\n",
        b"\xff\xfe\x00" * 1000 + b"\n",
        b"x" * 400_000 + b"\n",
    ],
)
def test_noise_is_dropped(ends: Ends, noise: bytes) -> None:
    channel, theirs = ends
    theirs.setblocking(False)
    while noise:
        noise = noise[theirs.send(noise) :]
        assert channel.receive() == []
    WorkerChannel(theirs).ready("still heard")
    assert fields(channel.receive())[-1:] == [(READY, 0, "still heard")]


def test_a_worker_whose_parent_is_gone_is_not_disturbed() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    WorkerChannel(theirs).ready("nobody hears it")
    assert theirs.fileno() == -1
