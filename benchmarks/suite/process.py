"""A server as a group of processes: started on one core, looked at through /proc, and ended."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.suite.servers import Server, Target

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE, CLIENT_CORE = 1, 0
CORES = os.sched_getaffinity(0)
"""The cores that this process may use, before it keeps to one."""
READY_TIMEOUT, STOP_TIMEOUT = 20.0, 5.0
LEAST_PAUSE = 0.001
"""Seconds between two attempts to connect: the error of a start's time."""


class ServerFailed(Exception):
    """The server did not start or did not answer; the text is the end of what it printed."""


@dataclass(frozen=True)
class Memory:
    """Bytes, summed over a server's processes: resident, and with shared pages counted in shares."""

    rss: int
    pss: int


class ServerProcess:
    """A running server: its first process, and all that this one started (one session)."""

    def __init__(self, server: Server, target: Target, process: subprocess.Popen[bytes]) -> None:
        self.server = server
        self.target = target
        self._process = process

    def wait_ready(self) -> bytes:
        """Returns the first answer to `GET /`, as soon as there is one."""
        deadline = time.monotonic() + READY_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerFailed(f"ended with status {self._process.returncode}")
            with contextlib.suppress(ConnectionError, TimeoutError):
                return fetch(self.target.port, "/")
            time.sleep(LEAST_PAUSE)
        raise ServerFailed(f"no answer within {READY_TIMEOUT:.0f} s")

    def cpu_seconds(self) -> float:
        """What the processes have used of their processor so far, to the nanosecond."""
        return sum(cpu_clock(pid) for pid in self.pids())

    def memory(self) -> Memory:
        rss = pss = 0
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name == "Rss":
                        rss += int(value.split()[0]) * 1024
                    elif name == "Pss":
                        pss += int(value.split()[0]) * 1024
        return Memory(rss, pss)

    def pids(self) -> list[int]:
        return [pid for pid in _all_pids() if _session(pid) == self._process.pid]

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def serving(
    server: Server, app: str, python: str, extra: tuple[str, ...] = ()
) -> Iterator[ServerProcess]:
    """Runs a server with an application for the length of the block, and waits for its first answer."""
    with started(server, app, python, extra) as process:
        process.wait_ready()
        yield process


@contextlib.contextmanager
def started(
    server: Server, app: str, python: str, extra: tuple[str, ...] = ()
) -> Iterator[ServerProcess]:
    """Like `serving`, without waiting. `ServerFailed` leaves with what the server printed."""
    with tempfile.TemporaryDirectory(prefix="bicorn-bench-") as name:
        directory = Path(name)
        target = Target(python, app, free_port(), directory)
        with (directory / "output").open("w+b") as output:
            process = ServerProcess(server, target, _spawn(server, target, extra, output))
            try:
                yield process
            except ServerFailed as failure:
                raise ServerFailed(f"{failure}{_tail(output)}") from None
            finally:
                process.stop()


def fetch(port: int, path: str) -> bytes:
    """The body of the answer to one GET."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=READY_TIMEOUT) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    if not answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 ")):
        raise ServerFailed(f"answered {answer[:60]!r}")
    return answer.partition(b"\r\n\r\n")[2]


def core_seconds(core: int) -> float:
    """What all processes together have used of a core so far, in clock ticks of usually 10 ms."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, ticks[:8])
            return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return 0.0


def cpu_clock(pid: int) -> float:
    """The processor time of all threads of a process, those that ended included.

    This is what clock_getcpuclockid(3) computes; unlike the fields of /proc/PID/stat it is not in clock ticks.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started in the block keeps to one core, where the machine has that many."""
    usual = os.sched_getaffinity(0)
    try:
        if core in CORES:
            os.sched_setaffinity(0, {core})
        yield
    finally:
        os.sched_setaffinity(0, usual)


def _spawn(
    server: Server, target: Target, extra: tuple[str, ...], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BICORN_", "PYTHON"))
    }
    with on_core(SERVER_CORE):
        return subprocess.Popen(
            [*server.command(target), *extra],
            cwd=target.directory,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    text = output.read().decode(errors="replace").strip()
    return "".join(f"\n    {line}" for line in text.splitlines()[-8:])


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
