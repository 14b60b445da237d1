"""A host in this process, with a real engine on a port of its own, and a client in a thread."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from bicorn._native import Scoreboard
from bicorn.config import Config
from bicorn.hosts import Job
from bicorn.supervisor.listeners import Listener, bind_all, close_all
from tests.support.wire import Wire

LOGGER = logging.getLogger("tests.hosts")

Client = Callable[[Wire], object]


class Stage:
    """In the worker's place: notes how far its host has come, and lets the client in when it serves."""

    def __init__(self, listeners: list[Listener], client: Client) -> None:
        self.passed: list[str] = []
        self.error: BaseException | None = None
        self._address = ("127.0.0.1", int(listeners[0].url.rpartition(":")[2]))
        self._client = client
        self.thread = threading.Thread(target=self._visit)

    def note_serving(self) -> None:
        self.passed.append("serving")
        self.thread.start()

    def note_draining(self) -> None:
        self.passed.append("draining")

    def note_stopping(self) -> None:
        self.passed.append("stopping")

    def _visit(self) -> None:
        try:
            with Wire(self._address) as wire:
                self._client(wire)
        except BaseException as error:  # noqa: BLE001 - a thread's top; raised again in the test
            self.error = error
        finally:
            stop()


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def run(
    host: Callable[[Job], None], app: Any, client: Client = lambda _: None, **options: Any
) -> list[str]:
    """Serves ``app`` until the client is done, and gives the stages that the host has passed."""
    listeners = bind_all(["127.0.0.1:0"])
    stage = Stage(listeners, client)
    job = Job(
        config=Config(app="tests", access_log=False, **options),
        app=app,
        listeners=listeners,
        board=(Scoreboard(1), 0),
        logger=LOGGER,
        worker=stage,
    )
    # A client may be done after a host that has ended for another reason.
    former = {
        number: signal.signal(number, _too_late) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        host(job)
        assert {signal.getsignal(number) for number in former} == {_too_late}
    finally:
        close_all(listeners)
        if stage.thread.ident is not None:
            stage.thread.join()
        for number, handler in former.items():
            signal.signal(number, handler)
    if stage.error is not None:
        raise stage.error
    return stage.passed


def _too_late(_number: int, _frame: FrameType | None) -> None:
    pass


@pytest.fixture(scope="session", autouse=True)
def a_first_uvloop() -> None:
    """Its first loop opens a pipe that libuv keeps as long as the process lives."""
    try:
        import uvloop
    except ImportError:
        return
    uvloop.new_event_loop().close()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    return caplog
