"""The way out: what is in flight is finished, what is idle is closed, and nothing waits for ever."""

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.process.conftest import APPS, Fifo, Start, refuses
from tests.support.server import Server, serving
from tests.support.wire import Wire, request

STOPPED = "finishing what is in flight"


@pytest.fixture(params=[signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def stop_signal(request: pytest.FixtureRequest) -> signal.Signals:
    return signal.Signals(request.param)


def started(
    start: Start, interface: str, *arguments: str, fifo: Fifo | None = None, **popen: object
) -> Server:
    environment = {"REQUEST_FIFO": fifo.path} if fifo else {}
    server = start(
        f"{interface}:app", "-b", "127.0.0.1:0", *arguments, environment=environment, **popen
    )
    return server.wait_until_ready()


def wait_until_refused(server: Server) -> None:
    """Until the worker has taken the signal, and nobody listens any more."""
    while not refuses(server.address[1]):
        assert server.process.poll() is None, server.log


def test_a_request_in_flight_is_answered(interface: str, start: Start, fifo: Fifo) -> None:
    server = started(start, interface, fifo=fifo)
    with Wire(server.address) as wire:
        wire.send(request("/wait"))
        server.wait_for_log("app waits")
        server.signal(signal.SIGTERM)
        wait_until_refused(server)
        fifo.release()
        answer = wire.answer()
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert wire.is_closed()
    assert server.wait() == 0, server.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_end_breaks_off_what_is_in_flight(
    interface: str, start: Start, fifo: Fifo, number: signal.Signals
) -> None:
    server = started(start, interface, fifo=fifo)
    with Wire(server.address) as wire:
        wire.send(request("/wait"))
        server.wait_for_log("app waits")
        server.signal(number)
        if interface == "wsgi":
            # The application is interrupted, and what comes of that is an answer still.
            assert wire.answer().status == 500
        assert wire.is_closed()
        assert server.wait() == 0, server.log
    server.wait_for_log(f"{number.name}: ending quickly")


def test_no_new_connections_are_accepted_meanwhile(start: Start, fifo: Fifo) -> None:
    server = started(start, "asgi", fifo=fifo)
    with Wire(server.address) as busy, Wire(server.address) as idle:
        busy.send(request("/wait"))
        server.wait_for_log("app waits")
        server.signal(signal.SIGTERM)
        assert idle.is_closed()
        wait_until_refused(server)
        fifo.release()
        assert busy.answer().status == 200
    assert server.wait() == 0, server.log


def test_who_has_connected_before_is_answered(start: Start, fifo: Fifo) -> None:
    """Connections that the kernel has accepted for a worker which is busy."""
    server = started(start, "wsgi", fifo=fifo)
    with ExitStack() as wires:
        busy = wires.enter_context(Wire(server.address)).send(request("/wait"))
        server.wait_for_log("app waits")
        waiting = [wires.enter_context(Wire(server.address)).send(request()) for _ in range(50)]
        server.signal(signal.SIGTERM)
        server.wait_for_log(STOPPED)
        fifo.release()
        assert busy.answer().status == 200
        assert {wire.answer().status for wire in waiting} == {200}
    assert server.wait() == 0, server.log


@pytest.mark.parametrize("count", [1, 3])
def test_control_c_in_a_terminal_ends_all_in_peace(
    interface: str, start: Start, count: int
) -> None:
    """A terminal sends the signal to every process of the group."""
    server = started(start, interface, "--workers=2", process_group=0)
    with Wire(server.address) as idle:
        assert idle.send(request()).answer().status == 200
        for _ in range(count):
            os.killpg(server.pid, signal.SIGINT)
        assert server.wait() == 0, server.log
    assert "Traceback" not in server.log
    assert "KeyboardInterrupt" not in server.log


@pytest.mark.parametrize("count", [1, 2])
def test_control_c_while_the_application_is_loaded(
    interface: str, start: Start, fifo: Fifo, count: int
) -> None:
    server = start(
        f"{interface}:app",
        "-b",
        "127.0.0.1:0",
        environment={"LOAD_FIFO": fifo.path},
        process_group=0,
    )
    with fifo.held():
        for _ in range(count):
            os.killpg(server.pid, signal.SIGINT)
        assert server.wait() == 0, server.log
    assert "Traceback" not in server.log


def test_a_second_signal_ends_at_once(
    interface: str, start: Start, fifo: Fifo, stop_signal: signal.Signals
) -> None:
    server = started(start, interface, fifo=fifo)
    with Wire(server.address) as wire:
        wire.send(request("/stuck"))
        server.wait_for_log("app stuck")
        server.signal(stop_signal)
        server.wait_for_log(STOPPED if stop_signal is signal.SIGTERM else "ending quickly")
        server.signal(signal.SIGTERM)
        server.wait_for_log("SIGTERM: ending at once")
        assert server.wait() == 0
    assert "Traceback" not in server.log


def test_a_request_that_takes_too_long_is_ended(interface: str, start: Start, fifo: Fifo) -> None:
    server = started(start, interface, "--graceful-timeout=200ms", fifo=fifo)
    with Wire(server.address) as wire:
        wire.send(request("/wait"))
        server.wait_for_log("app waits")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0, server.log
    server.wait_for_log("--graceful-timeout is over")


def test_a_worker_that_does_not_come_back_is_killed(start: Start, fifo: Fifo) -> None:
    servers = [
        started(start, interface, "--graceful-timeout=200ms", fifo=fifo)
        for interface in ("asgi", "wsgi")
    ]
    with ExitStack() as wires:
        for server in servers:
            wires.enter_context(Wire(server.address)).send(request("/stuck"))
            server.wait_for_log("app stuck")
        workers = [server.workers()[0] for server in servers]
        for server in servers:
            server.signal(signal.SIGTERM)
        for server, worker in zip(servers, workers, strict=True):
            server.wait_for_log(rf"worker {worker} did not end in time, and will be killed")
            server.wait()


def test_no_kept_alive_connection_is_reset(interface: str) -> None:
    """Whoever asks without pause while the server stops gets a whole answer each time, the last of which says so."""
    with serving(f"{interface}:app", "--workers=2", cwd=APPS) as server:
        clients = [Client(server.address) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            assert client.is_at_work.wait(30)
        server.signal(signal.SIGTERM)
        for client in clients:
            client.join(30)
        assert [client.complaint for client in clients] == [""] * len(clients)
        assert all(client.answers > 20 for client in clients)


class Client(threading.Thread):
    """Asks on one connection as fast as it is answered, until the server closes it."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__()
        self.address = address
        self.answers = 0
        self.complaint = ""
        self.is_at_work = threading.Event()

    def run(self) -> None:
        with Wire(self.address) as wire:
            try:
                while self._asks(wire):
                    self.answers += 1
                    if self.answers > 20:
                        self.is_at_work.set()
            except (AssertionError, EOFError, OSError) as error:
                self.complaint = repr(error)

    def _asks(self, wire: Wire) -> bool:
        answer = wire.send(request()).answer()
        assert answer.status == 200
        assert answer.complete
        if answer.header("connection") == "close":
            assert wire.is_closed()
            return False
        return True


def test_a_thread_of_the_application_is_waited_for(start: Start, tmp_path: Path) -> None:
    """As Python itself does for one that is no daemon."""
    (tmp_path / "with_thread.py").write_text(
        "import os, threading\n"
        "from pathlib import Path\n"
        "def work():\n"
        "    Path(os.environ['REQUEST_FIFO']).read_bytes()\n"
        "    os.write(2, b'thread is done\\n')\n"
        "threading.Thread(target=work).start()\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'']\n"
    )
    fifo = Fifo(tmp_path / "fifo")
    server = started(start, "with_thread", fifo=fifo, cwd=tmp_path)
    with fifo.held():
        server.signal(signal.SIGTERM)
        server.wait_for_log(STOPPED)
    assert server.wait() == 0, server.log
    assert "thread is done" in server.log
