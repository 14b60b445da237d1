"""A binary upgrade: another parent, started as this one was, that takes over the bound sockets.

Both serve until this one is told to end. Owns the new process, what it is given and what is heard of it; and,
in the new process, what was given.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Never

    from bicorn.supervisor.listeners import Listener
    from bicorn.supervisor.loop import Loop

_VARIABLE = "_BICORN_UPGRADE"
"""In lines: where the new parent says that it is ready, then ``ADDRESS=DESCRIPTOR`` for each bound socket."""


class UpgradeState(enum.Enum):
    """STARTING ─▶ READY ─▶ ENDED; STARTING may lead to ENDED."""

    STARTING = "starting"
    READY = "serving"
    ENDED = "ended"


class Upgrade:
    """The new parent, as the old one sees it."""

    def __init__(self, loop: Loop, on_ready: Callable[[], None]) -> None:
        self._loop = loop
        self._on_ready = on_ready
        self._reader = -1
        self.state = UpgradeState.ENDED
        self.pid = 0

    def start(
        self,
        command: Command,
        listeners: Sequence[Listener],
        fork: Callable[[], int],
        environment: Callable[[], Mapping[str, str]],
    ) -> None:
        """Starts it, with what ``environment`` says in the new process besides. Raises `OSError` when the kernel has
        no process for it."""
        reader, writer = os.pipe()
        try:
            pid = fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        if pid == 0:
            os.environ.update(environment())
            _become(command, listeners, writer)
        os.close(writer)
        self.pid = pid
        self.state = UpgradeState.STARTING
        self._reader = reader
        self._loop.watch(reader, self._listen)

    def note_end(self) -> None:
        """The process was reaped."""
        self._close()
        self.state = UpgradeState.ENDED
        self.pid = 0

    def _listen(self) -> None:
        word = os.read(self._reader, 64)
        self._close()
        if word and self.state is UpgradeState.STARTING:
            self.state = UpgradeState.READY
            self._on_ready()

    def _close(self) -> None:
        if self._reader >= 0:
            self._loop.unwatch(self._reader)
            os.close(self._reader)
            self._reader = -1


class Command:
    """How this process was started, so that another can be: the words and the directory, noted at the start.

    The directory is the one that the shell named: where it is a symbolic link that a deployment has turned to
    another release, the new process starts there.
    """

    def __init__(self) -> None:
        self.words = list(sys.orig_argv)
        self.directory = os.getcwd()
        named = os.environ.get("PWD", "")
        with contextlib.suppress(OSError):
            if os.path.samefile(named, self.directory):
                self.directory = named


class Origin:
    """In the new parent: what the old one has given. Empty where this is no upgrade."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        writer, *places = environment.get(_VARIABLE, "").split("\n")
        self._writer = int(writer) if writer else -1
        self._old_parent = os.getppid() if writer else 0
        self.descriptors: dict[str, list[int]] = {}
        for place in places:
            address, _, descriptor = place.rpartition("=")
            os.set_inheritable(int(descriptor), False)
            self.descriptors.setdefault(address, []).append(int(descriptor))
        if self._writer >= 0:
            os.set_inheritable(self._writer, False)

    @classmethod
    def of_this_process(cls) -> Origin:
        """Takes it out of the environment, which the workers inherit."""
        origin = cls(os.environ)
        os.environ.pop(_VARIABLE, None)
        return origin

    @property
    def is_upgrade(self) -> bool:
        """Whether there is an old parent, which has not been told yet that this one serves."""
        return self._writer >= 0

    @property
    def serves_still(self) -> bool:
        """Whether the old parent has not ended: it is this one's parent as long as it lives."""
        return self._old_parent == os.getppid()

    def note_ready(self) -> None:
        """Tells the old parent, once."""
        if self._writer < 0:
            return
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            os.write(self._writer, b"ready")
        os.close(self._writer)
        self._writer = -1

    def close_leftovers(self) -> None:
        """The sockets of addresses that are not bound any more."""
        for descriptors in self.descriptors.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self.descriptors.clear()


def _become(command: Command, listeners: Sequence[Listener], writer: int) -> Never:
    """In the child: runs the command."""
    try:
        os.set_inheritable(writer, True)
        lines = [str(writer)]
        for listener in listeners:
            os.set_inheritable(listener.fileno(), True)
            lines.append(f"{listener.address}={listener.fileno()}")
        os.environ[_VARIABLE] = "\n".join(lines)
        os.chdir(command.directory)
        os.execvp(command.words[0], command.words)
    except BaseException as error:  # noqa: BLE001 - nothing of the parent's code may run on in the child
        os.write(2, f"bicorn: the new parent cannot be started: {error}\n".encode())
    finally:
        os._exit(6)
