"""What these tests share: how long they take, servers whose code changes, and the clients' result judged.

`make soak` sets SOAK and gets the full length of every figure; without it each is a few seconds.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.process.conftest import Fifo
from tests.support.load import Result
from tests.support.server import Server

HERE = Path(__file__).parent
APPS = HERE / "apps"
SOAK = bool(os.environ.get("SOAK"))
SOAK_LIMIT = 300
"""Seconds that a test may take at full length."""

QUIET = ("--no-access-log", "-b", "127.0.0.1:0")
ABRUPT = {
    "reset",
    "reset under a request",
    "closed under a request",
    "ended before an answer",
    "ended inside a head",
    "ended inside an answer",
}
"""How a request ends that was in the hands of a worker which is killed. Never: refused, or a timeout."""


figures = pytest.StashKey[list[str]]()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if SOAK:
        terminalreporter.section("figures")
        for line in config.stash.get(figures, []):
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SOAK and HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(SOAK_LIMIT))


Figure = Callable[[str], None]


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Takes what was measured, for the end of a run at full length."""

    def take(text: str) -> None:
        request.config.stash.setdefault(figures, []).append(f"{request.node.name}: {text}")

    return take


class Code:
    """The version of the application's code, as the workers read it when they import it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 1
        path.write_text("1")

    def change(self) -> str:
        self.number += 1
        self.path.write_text(str(self.number))
        return str(self.number)

    def spoil(self) -> None:
        """Whoever imports it now fails."""
        self.path.write_text("broken")

    def mend(self) -> None:
        self.path.write_text(str(self.number))


@pytest.fixture
def code(tmp_path: Path) -> Code:
    return Code(tmp_path / "version")


@pytest.fixture
def fifo(tmp_path: Path) -> Fifo:
    return Fifo(tmp_path / "fifo")


@pytest.fixture(params=["asgi", "wsgi"])
def interface(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Start = Callable[..., Server]


@pytest.fixture
def start(code: Code, fifo: Fifo) -> Iterator[Start]:
    """Starts a server of the echo, or of another application, and waits until all of its workers are ready."""
    environment = {"VERSION_FILE": str(code.path), "REQUEST_FIFO": fifo.path}
    with ExitStack() as ends:

        def start_one(app: str, *arguments: str, workers: int = 2) -> Server:
            options = [f"{app}:app", *QUIET, f"--workers={workers}", *arguments]
            server = Server(options, APPS, environment, process_group=0)
            ends.callback(end_all, server)
            server.wait_until_ready()
            if workers > 1:
                # The banner is the first one's word.
                server.wait_for_log(rf"(?s)(worker \d+ is ready.*){{{workers - 1}}}")
            return server

        yield start_one


def end_all(server: Server) -> None:
    """Whoever is left, a successor of the parent among them."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def only_of_killed(result: Result, killed: set[int]) -> None:
    """Each failed request was in the hands of a worker that was killed, and no client was hit twice by one end."""
    assert result.kinds.keys() <= ABRUPT, result
    assert {failure.pid for failure in result.failures} <= {0, *killed}, result
    most = len(killed)
    for client in {failure.client for failure in result.failures}:
        hits = [failure for failure in result.failures if failure.client == client]
        assert len(hits) <= most, result
