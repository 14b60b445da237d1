"""The reports of all workers, asked for at once: what ``bicorn dump`` prints."""

from __future__ import annotations

from bicorn.supervisor.report import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bicorn.supervisor.report import Board, Subject
    from bicorn.supervisor.stacks import Stacks
    from bicorn.supervisor.witness import Witness


def dump(
    workers: Sequence[tuple[Subject, Witness]],
    board: Board,
    clock: Callable[[], float],
    on_done: Callable[[str], None],
) -> None:
    """Calls back once, when each has answered or its time is over, with the reports in the order given."""
    if workers:
        _Dump(workers, board, clock, on_done)
    else:
        on_done("there is no worker\n")


class _Dump:
    def __init__(
        self,
        workers: Sequence[tuple[Subject, Witness]],
        board: Board,
        clock: Callable[[], float],
        on_done: Callable[[str], None],
    ) -> None:
        self._board = board
        self._clock = clock
        self._on_done = on_done
        self._reports = [""] * len(workers)
        self._missing = len(workers)
        for place, (subject, witness) in enumerate(workers):
            witness.ask(self._noting(place, subject))

    def _noting(self, place: int, subject: Subject) -> Callable[[Stacks], None]:
        def note(stacks: Stacks) -> None:
            self._reports[place] = render(subject, self._board, stacks, self._clock())
            self._missing -= 1
            if not self._missing:
                self._on_done("\n".join(self._reports))

        return note
