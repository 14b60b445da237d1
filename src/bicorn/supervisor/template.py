"""The parent's view of a template: a process that has imported the application, and forks workers that have it.

Owns that process, and the births that were asked of it: each is answered once, by the number of a worker that was
born or by the reason why none was. Nothing here blocks, and no state of the template's is trusted to come. The
process's own code is `bicorn.worker.template`, which nothing here imports.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import os
import signal
import socket

from bicorn._native import become_subreaper
from bicorn.errors import ConfigError, InternalError, WorkerStartError
from bicorn.supervisor.channel import FAILED, READY, Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bicorn.config import Config
    from bicorn.log.line import LineLog
    from bicorn.supervisor.channel import Message
    from bicorn.supervisor.listeners import Listener
    from bicorn.supervisor.loop import Loop, Timer

    OnBorn = Callable[[int], None]
    OnFailed = Callable[[str, int], None]

BIRTH_LIMIT = 10.0
"""Seconds for a fork, which takes milliseconds; a template that takes longer is stuck, or stopped."""
EXIT_GRACE = 1.0
"""Seconds for a template that has failed to run what the application does at its end."""
ATTEMPTS = 2
"""Templates that a birth is asked of: one may be killed before it comes to it."""

BORN = "born"
UNBORN = "unborn"
WARNING = "warning"
DETACH = b"detach"


class TemplateState(enum.Enum):
    """ABSENT ─▶ LOADING ─▶ READY ─▶ ABSENT

    A template that ends is ABSENT again, and the next birth makes another. CLOSED is for good.
    """

    ABSENT = "absent"
    LOADING = "importing the application"
    READY = "ready"
    CLOSED = "closed"


_NEXT = {
    TemplateState.ABSENT: {TemplateState.LOADING, TemplateState.CLOSED},
    TemplateState.LOADING: {TemplateState.READY, TemplateState.ABSENT, TemplateState.CLOSED},
    TemplateState.READY: {TemplateState.ABSENT, TemplateState.CLOSED},
    TemplateState.CLOSED: {TemplateState.CLOSED},
}


def require_adoption() -> None:
    """Makes this process the parent of its descendants' orphans, as workers of a template are.

    Raises `ConfigError` where the system has no such thing.
    """
    if not become_subreaper():
        raise ConfigError("--preload needs Linux, where a process can adopt workers: leave it out")


class Order:
    """What a worker is to have: its slot of the scoreboard, its generation, its ends of the channel and of the pipe
    for reports, and the bound sockets.

    ``channel`` and ``reports`` are handed over: they are closed here once the worker has them, or will not.
    """

    __slots__ = ("channel", "generation", "listeners", "reports", "slot")

    def __init__(
        self,
        slot: int,
        generation: int,
        channel: int,
        reports: int,
        listeners: Sequence[Listener],
    ) -> None:
        self.slot = slot
        self.generation = generation
        self.channel = channel
        self.reports = reports
        self.listeners = listeners

    def send(self, control: socket.socket, number: int, leash: socket.socket) -> None:
        """The descriptors in the order in which `bicorn.worker.template` takes them. Raises `OSError`."""
        head = f"{number} {self.slot} {self.generation}"
        text = "\n".join([head, *(listener.address for listener in self.listeners)])
        sockets = [listener.fileno() for listener in self.listeners]
        descriptors = [self.channel, self.reports, leash.fileno(), *sockets]
        socket.send_fds(control, [text.encode()], descriptors)

    def close(self) -> None:
        os.close(self.channel)
        os.close(self.reports)


class Birth:
    """An order, and who is told of what became of it.

    ``leash`` is what the newborn waits for: a byte lets it live, the end of it, if this process gives it up or
    dies, has it exit. So nobody serves whom the parent does not know.
    """

    __slots__ = ("attempts", "leash", "limit", "on_born", "on_failed", "order")

    def __init__(self, order: Order, on_born: OnBorn, on_failed: OnFailed) -> None:
        self.order = order
        self.on_born = on_born
        self.on_failed = on_failed
        self.attempts = 0
        self.leash: socket.socket | None = None
        self.limit: Timer | None = None

    def let_live(self) -> bool:
        """Whether the newborn hears it."""
        try:
            return self.leash is not None and self.leash.send(b".") == 1
        except OSError:
            return False

    def let_go(self) -> None:
        """Of the template that was to see to it."""
        if self.limit is not None:
            self.limit.cancel()
        if self.leash is not None:
            self.leash.close()
        self.limit = self.leash = None


class Template:
    """``fork`` makes the process: given its end of a socket pair, it returns the process's number, and does not
    return in that process, where it calls `abandon`. It raises `OSError` where there can be no process.
    """

    def __init__(
        self, loop: Loop, config: Config, log: LineLog, fork: Callable[[socket.socket], int]
    ) -> None:
        self.state = TemplateState.ABSENT
        self.pid = 0
        self._loop = loop
        self._limit_of_loading = config.startup_timeout
        self._log = log
        self._fork = fork
        self._control: socket.socket | None = None
        self._channel: Channel | None = None
        self._births: dict[int, Birth] = {}
        self._numbers = itertools.count()
        self._limit: Timer | None = None
        self._failure: tuple[str, int] | None = None
        self._started = 0.0

    def start(self) -> None:
        """Has the application imported, unless it is or will be."""
        if self.state is TemplateState.ABSENT:
            self._start()

    def fork_worker(self, order: Order, on_born: OnBorn, on_failed: OnFailed) -> None:
        """Asks for a worker. One of the callbacks is called, once, and not before this returns: ``on_born`` with
        its process number, when it is this process's child, or ``on_failed`` with the reason, as a worker tells
        it, and the exit status. ``close`` and ``note_end`` answer what is left.
        """
        birth = Birth(order, on_born, on_failed)
        number = next(self._numbers)
        self._births[number] = birth
        if self.state is TemplateState.CLOSED:
            self._loop.call_later(0.0, lambda: self._fail(number, *_failure("it was closed")))
        elif self.state is TemplateState.READY:
            self._ask(number, birth)
        else:
            self.start()

    def note_end(self, pid: int, cause: str) -> bool:
        """A child was reaped; ``cause`` is how it ended, as in "was killed by SIGKILL". Returns whether it was the
        template's process."""
        if pid != self.pid:
            return False
        self._listen()
        self.pid = 0
        former = self.state
        if former is TemplateState.CLOSED:
            return True
        self._let_go()
        self._enter(TemplateState.ABSENT)
        if former is TemplateState.READY:
            self._log.error(f"template {pid} {cause}: another is made for the next worker")
            self._ask_again()
        else:
            self._fail_all(*(self._failure or _failure(f"it {cause} before it was ready")))
        return True

    def close(self) -> None:
        """Ends the template, which has nothing to finish, and answers what it was asked for. Idempotent."""
        self._listen()
        if self.state is TemplateState.CLOSED:
            return
        self._enter(TemplateState.CLOSED)
        self._kill()
        self._let_go()
        self._fail_all(*_failure("it was closed"))

    def detach(self) -> None:
        """Has the process let go of the caller's standard streams, as all of a server in the background does."""
        if self._control is None:
            return
        # A descriptor with it keeps the message apart from the next: unix(7), ancillary messages.
        with contextlib.suppress(OSError), open(os.devnull, "rb") as nothing:
            socket.send_fds(self._control, [DETACH], [nothing.fileno()])

    def abandon(self) -> None:
        """In a forked child: keeps nothing of this."""
        for birth in self._births.values():
            birth.let_go()
            birth.order.close()
        self._births.clear()
        if self._control is not None:
            self._control.close()
        self._control = self._channel = None

    # The process

    def _start(self) -> None:
        self._enter(TemplateState.LOADING)
        self._failure = None
        self._started = self._loop.now()
        self._limit = self._loop.call_later(self._limit_of_loading, self._give_up_loading)
        try:
            self._control, theirs = socket.socketpair()
            with theirs:
                self.pid = self._fork(theirs)
        except OSError as error:
            failure = _failure(f"it cannot be forked: {error.strerror}")
            self._limit.cancel()
            self._limit = self._loop.call_later(0.0, lambda: self._note_no_process(failure))
            return
        self._channel = Channel(self._control)
        self._loop.watch(self._channel, self._hear)

    def _note_no_process(self, failure: tuple[str, int]) -> None:
        self._let_go()
        self._enter(TemplateState.ABSENT)
        self._fail_all(*failure)

    def _give_up_loading(self) -> None:
        if self._failure is None:
            limit = f"--startup-timeout ({self._limit_of_loading:g} s)"
            self._failure = _failure(f"it had not imported the application within {limit}")
        self._kill()

    def _kill(self) -> None:
        # It was not waited for, so its number is still its own.
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def _let_go(self) -> None:
        """Of what leads to the process; the births stay."""
        if self._limit is not None:
            self._limit.cancel()
        if self._channel is not None:
            self._loop.unwatch(self._channel)
        if self._control is not None:
            self._control.close()
        self._limit = self._control = self._channel = None

    # What it says

    def _hear(self) -> None:
        self._listen()
        if self._channel is not None and self._channel.is_at_end:
            # It has ended, or has closed what it should not have: `note_end` will tell.
            self._loop.unwatch(self._channel)
            self._kill()

    def _listen(self) -> None:
        if self._channel is not None:
            for message in self._channel.receive():
                self._take(message)

    def _take(self, message: Message) -> None:
        if self.state is TemplateState.CLOSED:
            return
        if message.kind == BORN:
            self._note_born(message.status, message.text)
        elif message.kind == UNBORN:
            self._fail(message.status, *_failure(f"no worker can be forked: {message.text}"))
        elif self.state is not TemplateState.LOADING:
            return
        elif message.kind == WARNING:
            self._log.warning(message.text)
        elif message.kind == FAILED:
            self._failure = (message.text, message.status)
            self._expect(EXIT_GRACE)
        elif message.kind == READY:
            self._note_ready()

    def _note_ready(self) -> None:
        self._enter(TemplateState.READY)
        if self._limit is not None:
            self._limit.cancel()
        age = self._loop.now() - self._started
        self._log.info(f"template {self.pid} has imported the application in {age:.2f} s")
        for number, birth in list(self._births.items()):
            self._ask(number, birth)

    def _expect(self, delay: float) -> None:
        """The process to be gone by then."""
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self._loop.call_later(delay, self._give_up_loading)

    # Births

    def _ask(self, number: int, birth: Birth) -> None:
        birth.attempts += 1
        birth.limit = self._loop.call_later(BIRTH_LIMIT, self._give_up)
        try:
            birth.leash, theirs = socket.socketpair()
            birth.leash.setblocking(False)
            with theirs:
                if self._control is not None:
                    birth.order.send(self._control, number, theirs)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            # The template is stuck or ends: what follows then takes the birth to another.
            return
        except OSError as error:
            failure = _failure(f"no worker can be asked for: {error.strerror}")
            self._loop.call_later(0.0, lambda: self._fail(number, *failure))

    def _ask_again(self) -> None:
        """Of another template, what this one has not come to."""
        for number, birth in list(self._births.items()):
            birth.let_go()
            if birth.attempts >= ATTEMPTS:
                self._fail(number, *_failure("it ended, as the one before it"))
        if self._births:
            self.start()

    def _give_up(self) -> None:
        if self.pid:
            limit = f"{BIRTH_LIMIT:g} s"
            self._log.error(f"template {self.pid} has forked no worker for {limit}: killing it")
            self._kill()

    def _note_born(self, number: int, text: str) -> None:
        birth = self._births.get(number)
        if birth is None:
            return
        pid = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        if not (_is_child(pid) and birth.let_live()):
            self._fail(number, *_failure(f"worker {pid} ended as soon as it was forked"))
            return
        del self._births[number]
        birth.let_go()
        birth.order.close()
        birth.on_born(pid)

    def _fail(self, number: int, text: str, status: int) -> None:
        birth = self._births.pop(number, None)
        if birth is not None:
            birth.let_go()
            birth.order.close()
            birth.on_failed(text, status)

    def _fail_all(self, text: str, status: int) -> None:
        for number in list(self._births):
            self._fail(number, text, status)

    def _enter(self, state: TemplateState) -> None:
        if state not in _NEXT[self.state]:
            raise InternalError(f"a template cannot go from {self.state.name} to {state.name}")
        self.state = state


def _failure(text: str) -> tuple[str, int]:
    """What is said, and the exit status, where it is not the application that says it."""
    return f"the template of the workers: {text}", WorkerStartError.exit_status


def _is_child(pid: int) -> bool:
    """Whether the process is this one's to wait for; it is not waited for."""
    if not pid:
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
