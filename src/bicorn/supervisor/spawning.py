"""From a place to a process: the fork, and what each side keeps of what both had.

Owns the scoreboard's slots: a successor and its predecessor have one each.
"""

from __future__ import annotations

import os
import socket

from bicorn.supervisor.channel import FAILED, Channel, Message
from bicorn.supervisor.handle import WorkerHandle
from bicorn.supervisor.witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from bicorn._native import Scoreboard
    from bicorn.supervisor.generation import Generation
    from bicorn.supervisor.loop import Loop
    from bicorn.supervisor.place import Place
    from bicorn.supervisor.signals import SignalPipe
    from bicorn.supervisor.template import Template


class InWorker(BaseException):
    """Unwinds the parent's code in a forked child, which then exits as any Python program does."""

    def __init__(self, exit_status: int) -> None:
        super().__init__(exit_status)
        self.exit_status = exit_status


def live_as_child(life: Callable[[], int]) -> NoReturn:
    """In a forked child: ends the process with the status that ``life`` returns."""
    try:
        status = life()
    except BaseException:  # noqa: BLE001 - the child's top: the parent's code is below
        import traceback

        traceback.print_exc()
        status = 1
    raise InWorker(status)


class Spawner:
    """Makes workers by forking. ``let_go`` closes in the child what is the parent's alone; ``note_unborn`` is told
    of a worker that was started from a template and has not become a process."""

    def __init__(
        self,
        loop: Loop,
        board: Scoreboard,
        signals: SignalPipe,
        let_go: Callable[[], None],
        note_unborn: Callable[[WorkerHandle], None],
    ) -> None:
        self._loop = loop
        self._board = board
        self._signals = signals
        self._let_go = let_go
        self._note_unborn = note_unborn
        self._free = list(range(len(board)))[::-1]

    @property
    def next_slot(self) -> int:
        """The place on the scoreboard that the next worker gets; -1 when there is none."""
        return self._free[-1] if self._free else -1

    def start(
        self, place: Place, generation: Generation, now: float, template: Template | None = None
    ) -> WorkerHandle:
        """A new worker, whose process may come later where a template makes it. Raises `OSError` when the kernel
        has no process, descriptor or memory for it."""
        if not self._free:
            raise OSError("the scoreboard is full")
        slot = self._free[-1]
        self._board.clear(slot)
        self._board.set_generation(slot, generation.number)
        ours, theirs = socket.socketpair()
        ends = [ours.detach(), theirs.detach()]
        parent = os.getpid()
        try:
            ends += os.pipe()
            pid = 0 if template is not None else self._signals.fork(self._let_go)
        except OSError:
            for end in ends:
                os.close(end)
            raise
        ours_fd, theirs_fd, reader, writer = ends
        if template is None and pid == 0:
            os.close(ours_fd)
            os.close(reader)
            live_as_child(lambda: self._work(generation, (slot, parent), (theirs_fd, writer)))
        self._free.pop()
        channel, witness = Channel(socket.socket(fileno=ours_fd)), Witness(self._loop, pid, reader)
        worker = WorkerHandle(place, generation, slot, channel, witness, now)
        if template is not None:
            self._ask(template, worker, (theirs_fd, writer))
        else:
            os.close(theirs_fd)
            os.close(writer)
            worker.note_born(pid)
        return worker

    def release(self, worker: WorkerHandle) -> None:
        """The worker has ended, and its slot was read for the last time."""
        worker.channel.close()
        worker.witness.close()
        self._free.append(worker.slot)

    def _ask(self, template: Template, worker: WorkerHandle, ends: tuple[int, int]) -> None:
        from bicorn.supervisor.template import Order

        def note_unborn(text: str, status: int) -> None:
            worker.failure = Message(FAILED, status, text)
            self._note_unborn(worker)

        generation = worker.generation
        order = Order(worker.slot, generation.number, *ends, generation.listeners)
        template.fork_worker(order, worker.note_born, note_unborn)

    def _work(self, generation: Generation, whose: tuple[int, int], ends: tuple[int, int]) -> int:
        """In the child: a whole worker's life, whose exit status this is."""
        from bicorn.worker import Inheritance, serve

        (slot, parent), (channel, reports) = whose, ends
        inherited = Inheritance(
            generation.listeners,
            socket.socket(fileno=channel),
            (self._board, slot),
            parent,
            reports,
        )
        return serve(generation.config, inherited)
