"""The parent's loop with nobody in it, and what it knows of a worker that has no process yet."""

import os
import socket
import time
from collections.abc import Iterator

import pytest

from bicorn.config import Config
from bicorn.supervisor.channel import Channel
from bicorn.supervisor.generation import Generation
from bicorn.supervisor.handle import WorkerHandle
from bicorn.supervisor.loop import Loop
from bicorn.supervisor.place import Place
from bicorn.supervisor.witness import Witness


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def worker(loop: Loop) -> Iterator[WorkerHandle]:
    ours, theirs = socket.socketpair()
    witness = Witness(loop, 0, os.open(os.devnull, os.O_RDONLY))
    with ours, theirs:
        generation = Generation(1, Config(), [])
        yield WorkerHandle(Place(0), generation, 0, Channel(ours), witness, time.monotonic())
    witness.close()
