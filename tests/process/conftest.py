"""What the process tests share: servers that need not become ready, ports, and pipes that applications wait for."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.support.wire import Wire

APPS = Path(__file__).parent / "apps"


class Fifo:
    """A named pipe that an application waits for the other end of."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        os.mkfifo(path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """From when somebody waits; at the end he goes on."""
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            yield
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Waits until somebody waits, and lets him go on."""
        with self.held():
            pass


@pytest.fixture
def fifo(tmp_path: Path) -> Fifo:
    return Fifo(tmp_path / "fifo")


@pytest.fixture(params=["asgi", "wsgi"])
def interface(request: pytest.FixtureRequest) -> str:
    """The behaviour is the same on both; the value is the module of ``apps`` too."""
    return str(request.param)


Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers in the folder of the test applications, and sees to it that they end with the test.

    Other than `serving` it neither waits nor minds how they end.
    """
    with ExitStack() as ends:

        def start_one(
            *arguments: str,
            cwd: Path = APPS,
            environment: Mapping[str, str] | None = None,
            **popen: object,
        ) -> Server:
            server = Server(list(arguments), cwd, environment or {}, **popen)
            ends.callback(end, server)
            return server

        yield start_one


def end(server: Server) -> None:
    if server.process.poll() is None:
        server.process.kill()
    server.wait()


@pytest.fixture
def port() -> Iterator[int]:
    """A port of the kernel's choice that stays ours for the test: bound, never listened on."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def refuses(port: int) -> bool:
    try:
        Wire(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # The listener went while the connection was being made.
        return False
    return False
