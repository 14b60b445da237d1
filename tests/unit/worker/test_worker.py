"""A worker's states, and what it tells its parent when it cannot serve."""

import gc
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bicorn._native import Scoreboard
from bicorn.config import Config
from bicorn.errors import AppLoadError, AppStartupError, InternalError
from bicorn.supervisor.channel import DRAINING, FAILED, Channel, Message
from bicorn.supervisor.listeners import Listener, bind_all, close_all
from bicorn.worker import Inheritance
from bicorn.worker.worker import _NEXT, State, Worker, as_text


class Parent:
    """The other end of the worker's channel, and the listeners that it inherits."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.listeners: list[Listener] = bind_all(["127.0.0.1:0"])

    def worker(self, config: Config) -> Worker:
        board = (Scoreboard(1), 0)
        return Worker(config, Inheritance(self.listeners, self.theirs, board, os.getpid(), -1))

    def told(self) -> Message:
        (message,) = self.channel.receive()
        return message

    def close(self) -> None:
        self.channel.close()
        self.theirs.close()
        close_all(self.listeners)


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    parent = Parent()
    yield parent
    parent.close()
    # A worker freezes what it has loaded, which here is pytest: Hypothesis's own look at the collector misses it then.
    gc.unfreeze()


def test_an_application_that_cannot_be_loaded(parent: Parent) -> None:
    worker = parent.worker(Config(app="bicorn_no_such_module:app"))
    assert worker.run() == AppLoadError.exit_status
    assert worker.state is State.ENDED
    message = parent.told()
    assert (message.kind, message.status) == (FAILED, AppLoadError.exit_status)
    assert message.text.startswith("no module 'bicorn_no_such_module' in ")


def test_the_applications_traceback_stands_above_the_line(parent: Parent) -> None:
    Path("bicorn_broken.py").write_text("raise RuntimeError('database is gone')")
    assert parent.worker(Config(app="bicorn_broken:app")).run() == AppLoadError.exit_status
    above, _, line = parent.told().text.rpartition("\n")
    assert above.startswith("Traceback")
    assert above.endswith("RuntimeError: database is gone")
    assert line.startswith("importing 'bicorn_broken' raised RuntimeError: database is gone")


def test_an_address_that_another_process_was_faster_to_listen_on(parent: Parent) -> None:
    Path("bicorn_wsgi.py").write_text("def app(environ, start_response): return []")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(parent.listeners[0].url.rpartition(":")[2])))
        other.listen()
        assert parent.worker(Config(app="bicorn_wsgi:app", access_log=False)).run() == 4
    assert "has it: stop that, or use another address" in parent.told().text


def test_errors_as_the_parent_gets_them() -> None:
    assert as_text(AppLoadError("line", "above\n")) == "above\nline"
    assert as_text(AppLoadError("line")) == "line"
    assert as_text(AppStartupError("above\nline")) == "above\nline"


def test_a_worker_that_drains_says_so(parent: Parent) -> None:
    worker = parent.worker(Config(app="unused"))
    worker.state = State.SERVING
    worker.note_draining()
    message = parent.told()
    assert (message.kind, message.status, message.text) == (DRAINING, 0, "")


def test_every_state_leads_to_the_end() -> None:
    assert set(_NEXT) == set(State)
    for state in State:
        assert State.ENDED in _NEXT[state] or state is State.ENDED


def test_a_step_that_the_table_does_not_have_is_a_bug(parent: Parent) -> None:
    worker = parent.worker(Config(app="unused"))
    with pytest.raises(InternalError, match="from LOADING to SERVING"):
        worker.note_serving()
