"""Which generation has which template, and what runs in a template's process.

A reload makes a generation, and so a template with the new code; the former one is closed when nobody will be
forked from it any more.
"""

from __future__ import annotations

import os

from bicorn.supervisor.listeners import received
from bicorn.supervisor.spawning import live_as_child
from bicorn.supervisor.template import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Container

    from bicorn._native import Scoreboard
    from bicorn.log.line import LineLog
    from bicorn.supervisor.generation import Generation
    from bicorn.supervisor.loop import Loop
    from bicorn.worker import Inheritance
    from bicorn.worker.template import Order


class Templates:
    """``fork`` is `os.fork` in a parent's way: the child keeps nothing of the parent's, no bound socket either."""

    def __init__(
        self, loop: Loop, board: Scoreboard, log: LineLog, fork: Callable[[], int]
    ) -> None:
        self._loop = loop
        self._board = board
        self._log = log
        self._fork = fork
        self._of: dict[Generation, Template] = {}

    def of(self, generation: Generation) -> Template:
        """The generation's template, which imports the application if it has not."""
        template = self._of.get(generation)
        if template is None:

            def fork(control: socket.socket) -> int:
                return self._fork_template(generation, control)

            template = Template(self._loop, generation.config, self._log, fork)
            self._of[generation] = template
        template.start()
        return template

    def note_end(self, pid: int, how: str) -> bool:
        """Whether the process that has ended was a template."""
        return any(template.note_end(pid, how) for template in list(self._of.values()))

    def keep(self, generations: Container[Generation | None]) -> None:
        """Closes the templates of the others."""
        for generation in [each for each in self._of if each not in generations]:
            self._of.pop(generation).close()

    def detach(self) -> None:
        """The server is in the background now, and serves."""
        for template in self._of.values():
            template.detach()

    def abandon(self) -> None:
        """In a forked child: keeps nothing of them."""
        for template in self._of.values():
            template.abandon()

    def _fork_template(self, generation: Generation, control: socket.socket) -> int:
        parent = os.getpid()
        pid = self._fork()
        if pid == 0:
            live_as_child(lambda: self._live(generation, control, parent))
        return pid

    def _live(self, generation: Generation, control: socket.socket, parent: int) -> int:
        """In the child: the template's life, and that of each worker that is forked from it."""
        from bicorn.titles import Title
        from bicorn.worker import Inheritance
        from bicorn.worker.template import serve_template

        Title(generation.config).show_role(f"template gen {generation.number}")

        def recruit(order: Order) -> Inheritance:
            listeners = [received(*listener) for listener in order.listeners]
            board = (self._board, order.slot)
            return Inheritance(listeners, order.channel, board, parent, order.reports)

        return serve_template(generation.config, control, parent, recruit)
