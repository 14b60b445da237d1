"""Processes that answer inquiries as workers do, and then hang, each in its own way.

Each way is a function whose name is in the stack, and of which the line that never returns is known.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bicorn.reserved import REPORT_SIGNAL
from bicorn.supervisor.loop import Loop
from bicorn.supervisor.stacks import Stacks
from bicorn.supervisor.witness import Witness
from bicorn.worker.report import install
from tests.process.apps.hanging import in_sleep

PATIENCE = 30.0


def in_a_thread() -> None:
    threading.Thread(target=in_sleep).start()
    signal.pause()


def in_an_event_loop() -> None:
    asyncio.run(_block_the_loop())


def in_uvloop() -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_block_the_loop())


def in_a_waiting_event_loop() -> None:
    asyncio.run(_wait_for_a_stream())


async def _block_the_loop() -> None:
    waiting = asyncio.create_task(_wait_for_a_stream(), name="other")
    await asyncio.sleep(0)
    in_sleep()
    await waiting


async def _wait_for_a_stream() -> None:
    async for _ in _stream():
        pass


async def _stream() -> object:
    await asyncio.Event().wait()
    yield b""


@contextmanager
def hanging(loop: Loop, work: Callable[[], object]) -> Iterator[tuple[int, Witness]]:
    """A process that does the work, once it can be asked; killed at the end."""
    reader, writer = os.pipe()
    installed, tell = os.pipe()
    former = signal.signal(REPORT_SIGNAL, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        try:
            install(writer)
            os.close(tell)
            work()
        finally:
            os._exit(0)
    signal.signal(REPORT_SIGNAL, former)
    os.close(writer)
    os.close(tell)
    witness = Witness(loop, pid, reader)
    try:
        assert os.read(installed, 1) == b""
        yield pid, witness
    finally:
        os.close(installed)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        witness.close()


def ask(loop: Loop, witness: Witness, limit: float = PATIENCE) -> Stacks:
    """One inquiry, waited for."""
    answers: list[Stacks] = []
    witness.ask(answers.append, limit)
    until(loop, lambda: bool(answers))
    return answers[0]


def ask_until(
    loop: Loop, witness: Witness, is_there: Callable[[Stacks], bool], limit: float = PATIENCE
) -> Stacks:
    """Asks again until the process has got where it hangs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stacks = ask(loop, witness, limit)
        if is_there(stacks):
            return stacks
    raise AssertionError(f"it never got there: {told(stacks)}")


def told(stacks: Stacks) -> list[list[str]]:
    return [[frame.text for frame in thread.frames] for thread in stacks.threads]


def until(loop: Loop, is_done: Callable[[], bool]) -> None:
    deadline = loop.call_later(PATIENCE, lambda: None)
    while not is_done():
        assert loop.now() < deadline.when
        loop.run_once()
    deadline.cancel()
