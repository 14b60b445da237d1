"""Every birth that a template is asked for is answered, whatever becomes of the template; real processes throughout."""

import ctypes
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bicorn._native import Scoreboard
from bicorn.config import Config
from bicorn.errors import InternalError
from bicorn.log.line import LineLog
from bicorn.supervisor import template as module
from bicorn.supervisor.channel import READY, Channel, Message
from bicorn.supervisor.listeners import bind_all, close_all, received
from bicorn.supervisor.loop import Loop
from bicorn.supervisor.signals import SignalPipe
from bicorn.supervisor.template import Order, Template, TemplateState, require_adoption
from bicorn.worker import Inheritance
from bicorn.worker.template import Order as Received
from bicorn.worker.template import serve_template

PATIENCE = 30.0
PR_SET_CHILD_SUBREAPER = 36

APP = """
import os
with open({imports!r}, "a") as imports:
    imports.write(f"{{os.getpid()}}\\n")
{more}
def app(environ, start_response):
    return []
"""


class Asked:
    """One worker that was asked for: what became of it."""

    def __init__(self, channel: Channel, reports: int) -> None:
        self.channel = channel
        self.reports = reports
        self.pid = 0
        self.failure: tuple[str, int] | None = None

    def on_born(self, pid: int) -> None:
        assert not self.is_answered
        self.pid = pid

    def on_failed(self, text: str, status: int) -> None:
        assert not self.is_answered
        self.failure = (text, status)

    @property
    def is_answered(self) -> bool:
        return self.pid > 0 or self.failure is not None

    def close(self) -> None:
        self.channel.close()
        os.close(self.reports)


class Parent:
    """What the supervisor has: a loop, the signal of a child's end, bound sockets; and this process is one."""

    def __init__(self, directory: Path) -> None:
        require_adoption()
        self.directory = directory
        self.strangers = children()
        self.loop = Loop()
        self.signals = SignalPipe([signal.SIGCHLD])
        self.loop.watch(self.signals, self._reap)
        self.listeners = bind_all(["127.0.0.1:0"])
        self.board = Scoreboard(2)
        self.ended: dict[int, int] = {}
        self.asked: list[Asked] = []
        self.live: Callable[[socket.socket, int], int] = self.serve_template
        self.template = self.make()

    def make(self, **options: object) -> Template:
        config = Config(app=f"{self.directory}/preloaded.py", access_log=False, **options)
        self.config = config
        self.template = Template(self.loop, config, LineLog("debug"), self._fork)
        return self.template

    def ask(self) -> Asked:
        ours, theirs = socket.socketpair()
        reader, writer = os.pipe()
        asked = Asked(Channel(ours), reader)
        self.asked.append(asked)
        order = Order(1, 7, theirs.detach(), writer, self.listeners)
        self.template.fork_worker(order, asked.on_born, asked.on_failed)
        assert not asked.is_answered
        return asked

    def run_until(self, is_so: Callable[[], object]) -> None:
        alarm = self.loop.call_later(PATIENCE, lambda: pytest.fail("it did not happen"))
        while not is_so():
            self.loop.run_once()
        alarm.cancel()

    def born(self) -> Asked:
        asked = self.ask()
        self.run_until(lambda: asked.is_answered)
        assert asked.pid, asked.failure
        return asked

    def failed(self) -> tuple[str, int]:
        asked = self.ask()
        self.run_until(lambda: asked.is_answered)
        assert asked.failure
        return asked.failure

    def end_of(self, pid: int) -> int:
        """The exit status, or the signal as a negative number."""
        self.run_until(lambda: pid in self.ended)
        return self.ended[pid]

    def close(self) -> None:
        self.template.close()
        for asked in self.asked:
            assert asked.is_answered
            asked.close()
            if asked.pid and asked.pid not in self.ended:
                os.kill(asked.pid, signal.SIGKILL)
                self.end_of(asked.pid)
        while rest := self._children():
            os.waitpid(rest[0], 0)
        del self.board
        self.loop.close()
        self.signals.close()
        close_all(self.listeners)

    def serve_template(self, control: socket.socket, parent: int) -> int:
        return serve_template(self.config, control, parent, self.recruit)

    def recruit(self, order: Received) -> Inheritance:
        os.write(order.reports, f"generation {order.generation}".encode())
        listeners = [received(*listener) for listener in order.listeners]
        board = (self.board, order.slot)
        return Inheritance(listeners, order.channel, board, os.getppid(), order.reports)

    def _fork(self, control: socket.socket) -> int:
        parent = os.getpid()
        pid = self.signals.fork(self._let_go)
        if pid == 0:
            status = 70
            try:
                status = self.live(control, parent)
            finally:
                os._exit(status)
        return pid

    def _let_go(self) -> None:
        self.template.abandon()
        close_all(self.listeners)

    def _reap(self) -> None:
        self.signals.receive()
        for child in self._children():
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                self.ended[pid] = os.waitstatus_to_exitcode(status)
                self.template.note_end(pid, f"ended with {self.ended[pid]}")

    def _children(self) -> list[int]:
        """This parent's own and those that it has adopted: other tests have servers that are this process's too."""
        return sorted(children() - self.strangers)


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    write_app(tmp_path)
    parent = Parent(tmp_path)
    yield parent
    parent.close()
    # Other tests have orphans that are not for this process to wait for.
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0) == 0


def children() -> set[int]:
    threads = Path("/proc/self/task").iterdir()
    return {int(pid) for thread in threads for pid in (thread / "children").read_text().split()}


def write_app(directory: Path, more: str = "") -> None:
    source = APP.format(imports=str(directory / "imports"), more=more)
    (directory / "preloaded.py").write_text(source)


def imports(directory: Path) -> list[int]:
    return [int(pid) for pid in (directory / "imports").read_text().split()]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_worker_is_the_parents_child_and_serves(parent: Parent) -> None:
    asked = parent.born()
    assert parent_of(asked.pid) == os.getpid()
    (message,) = heard(parent, asked)
    assert message.kind == READY
    os.kill(asked.pid, signal.SIGTERM)
    assert parent.end_of(asked.pid) == 0
    assert parent.template.state is TemplateState.READY


def heard(parent: Parent, asked: Asked) -> list[Message]:
    messages: list[Message] = []
    parent.loop.watch(asked.channel, lambda: messages.extend(asked.channel.receive()))
    parent.run_until(lambda: messages)
    parent.loop.unwatch(asked.channel)
    return messages


def test_the_application_is_imported_once(parent: Parent, tmp_path: Path) -> None:
    many = [parent.ask() for _ in range(4)]
    parent.run_until(lambda: all(asked.is_answered for asked in many))
    assert len({asked.pid for asked in many} - {0}) == 4
    assert imports(tmp_path) == [parent.template.pid]


def test_a_worker_gets_what_the_order_says(parent: Parent) -> None:
    asked = parent.born()
    assert os.read(asked.reports, 12) == b"generation 7"
    heard(parent, asked)
    # It listens on the very socket.
    with socket.create_connection(("127.0.0.1", int(parent.listeners[0].url.rpartition(":")[2]))):
        pass


def test_the_template_holds_no_socket_of_the_addresses(parent: Parent) -> None:
    parent.born()
    ours = os.readlink(f"/proc/self/fd/{parent.listeners[0].fileno()}")
    theirs = Path(f"/proc/{parent.template.pid}/fd")
    assert ours not in [os.readlink(each) for each in theirs.iterdir()]


def test_an_application_that_cannot_be_imported(parent: Parent, tmp_path: Path) -> None:
    write_app(tmp_path, "raise ValueError('my own')")
    first, second = parent.ask(), parent.ask()
    parent.run_until(lambda: first.is_answered and second.is_answered)
    assert first.failure
    assert first.failure == second.failure
    text, status = first.failure
    assert status == 3
    assert text.startswith("Traceback")
    assert "my own" in text.rpartition("\n")[2]
    write_app(tmp_path)
    # The same file of the same size and second could be taken for the old one.
    parent.born()
    assert len(imports(tmp_path)) == 2


@pytest.mark.parametrize(("code", "end"), [("os._exit(9)", "9"), ("os.kill(os.getpid(), 9)", "-9")])
def test_a_template_that_dies_while_it_imports(
    parent: Parent, tmp_path: Path, code: str, end: str
) -> None:
    write_app(tmp_path, code)
    text = f"the template of the workers: it ended with {end} before it was ready"
    assert parent.failed() == (text, 6)
    assert parent.template.state is TemplateState.ABSENT


def test_an_import_that_takes_too_long(parent: Parent, tmp_path: Path) -> None:
    write_app(tmp_path, "import signal\nsignal.pause()")
    parent.make(startup_timeout=0.2)
    text, status = parent.failed()
    assert "not imported the application within --startup-timeout (0.2 s)" in text
    assert status == 6


def test_a_template_that_fails_and_does_not_end(
    parent: Parent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXIT_GRACE", 0.1)

    def live(control: socket.socket, number: int) -> int:
        status = parent.serve_template(control, number)
        signal.pause()
        return status

    parent.live = live
    write_app(tmp_path, "raise ValueError('my own')")
    assert parent.failed()[1] == 3


def test_a_template_that_is_killed_is_followed(
    parent: Parent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent.born()
    former = parent.template.pid
    os.kill(former, signal.SIGKILL)
    parent.end_of(former)
    assert f"template {former} ended with -9: another is made" in capsys.readouterr().err
    assert parent.template.state is TemplateState.ABSENT
    parent.born()
    assert imports(tmp_path) == [former, parent.template.pid]


def test_a_birth_outlives_the_template_that_was_to_see_to_it(parent: Parent) -> None:
    parent.born()
    former = parent.template.pid
    os.kill(former, signal.SIGSTOP)
    asked = parent.ask()
    os.kill(former, signal.SIGKILL)
    parent.run_until(lambda: asked.is_answered)
    assert asked.pid
    assert parent.template.pid != former


def test_a_template_that_is_stuck_is_replaced(
    parent: Parent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent.born()
    monkeypatch.setattr(module, "BIRTH_LIMIT", 0.1)
    former = parent.template.pid
    os.kill(former, signal.SIGSTOP)
    asked = parent.ask()
    parent.run_until(lambda: former in parent.ended)
    monkeypatch.setattr(module, "BIRTH_LIMIT", PATIENCE)
    parent.run_until(lambda: asked.is_answered)
    assert asked.pid
    assert f"template {former} has forked no worker for 0.1 s" in capsys.readouterr().err


def test_templates_that_end_one_after_the_other(parent: Parent) -> None:
    def live(control: socket.socket, _number: int) -> int:
        control.sendall(b"ready 0 0\n")
        control.recv(1)
        return 9

    parent.live = live
    assert parent.failed()[0].endswith("it ended, as the one before it")


def test_a_newborn_that_nobody_has_heard_of_ends(parent: Parent) -> None:
    parent.born()
    asked = parent.ask()
    (birth,) = parent.template._births.values()
    assert birth.leash
    birth.leash.close()
    parent.run_until(lambda: asked.is_answered)
    assert asked.failure
    (pid,) = [int(word) for word in asked.failure[0].split() if word.isdigit()]
    assert parent.end_of(pid) == 0


def test_close_answers_what_was_asked(parent: Parent, tmp_path: Path) -> None:
    write_app(tmp_path, "import signal\nsignal.pause()")
    asked = parent.ask()
    pid = parent.template.pid
    parent.template.close()
    assert asked.failure == ("the template of the workers: it was closed", 6)
    assert parent.end_of(pid) == -signal.SIGKILL
    assert parent.failed() == asked.failure
    assert parent.template.state is TemplateState.CLOSED


def test_close_hears_of_births_before(parent: Parent) -> None:
    parent.born()
    asked = parent.ask()
    assert parent.template._control
    assert select.select([parent.template._control], [], [], PATIENCE)[0]
    parent.template.close()
    assert asked.pid


def test_a_template_ends_with_its_channel(parent: Parent) -> None:
    parent.born()
    assert parent.template._control
    parent.template._control.shutdown(socket.SHUT_WR)
    assert parent.end_of(parent.template.pid) == 0


def test_what_a_terminal_sends_is_not_for_the_template(parent: Parent) -> None:
    parent.born()
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        os.kill(parent.template.pid, number)
    parent.born()
    assert parent.template.pid not in parent.ended


def test_a_template_in_the_background_lets_go_of_the_streams(parent: Parent) -> None:
    reader, writer = os.pipe()

    def live(control: socket.socket, number: int) -> int:
        for stream in (0, 1, 2):
            os.dup2(writer, stream)
        os.close(writer)
        return parent.serve_template(control, number)

    parent.live = live
    parent.template.start()
    os.close(writer)
    parent.template.detach()
    with open(reader, "rb") as stream:
        # It ends when the last process that has it lets go of it.
        assert stream.read() == b""
    parent.born()


def test_a_template_without_free_descriptors(parent: Parent, tmp_path: Path) -> None:
    write_app(
        tmp_path,
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "copies = []\n"
        "try:\n"
        "    while True: copies.append(os.dup(0))\n"
        "except OSError:\n"
        "    for copy in copies[-2:]: os.close(copy)\n",
    )
    text, status = parent.failed()
    assert "no worker can be forked: the template has no descriptor free" in text
    assert status == 6


def test_more_sockets_than_can_be_passed(parent: Parent) -> None:
    parent.born()
    parent.listeners *= 300
    text, _ = parent.failed()
    del parent.listeners[1:]
    assert text.startswith("the template of the workers: no worker can be asked for: ")


def test_what_a_fork_does_not_copy_is_told(
    parent: Parent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_app(
        tmp_path,
        "import asyncio, threading\n"
        "loop = asyncio.new_event_loop()\n"
        "threading.Thread(target=threading.Event().wait, name='refresher', daemon=True).start()\n",
    )
    parent.born()
    log = capsys.readouterr().err
    assert "WARNING  the application started threads while it was imported: 'refresher': " in log
    assert "opened an event loop while it was imported: asyncio.unix_events._Unix" in log


@pytest.mark.parametrize(
    "noise",
    [
        b"born 0 1\n1",
        b"born 0 3\n-12",
        b"born 0 2\n\xc2\xb2",
        b"born 99 1\n1",
        b"born 0 9\n999999999",
        b"unborn 12345 0\n",
        b"ready 0 0\n" * 3,
        b"failed 3 0\nwarning 0 0\n",
        b"\xff" * 1000 + b"\n",
    ],
)
def test_a_template_that_runs_wild_does_no_harm(parent: Parent, noise: bytes) -> None:
    def live(control: socket.socket, _number: int) -> int:
        control.sendall(b"ready 0 0\n")
        control.recv(1024)
        control.sendall(noise)
        return 9

    parent.live = live
    asked = parent.ask()
    parent.run_until(lambda: asked.is_answered)
    assert asked.failure


def test_states_follow_each_other(parent: Parent) -> None:
    with pytest.raises(InternalError):
        parent.template._enter(TemplateState.READY)
