"""The load client as this runner sees it: a program that polls, on a core of its own."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite.process import CLIENT_CORE, ROOT, ServerFailed, cpu_clock, on_core
from benchmarks.suite.servers import Target
from benchmarks.suite.works import Work


class ClientMissing(Exception):
    """The load client cannot be built."""


@dataclass(frozen=True)
class Load:
    """How a server is loaded.

    ``seconds`` is how long it is measured in sum; ``requests`` and ``window`` (seconds) bound one run of the client,
    whichever comes first.
    """

    connections: int = 64
    seconds: float = 1.0
    warm_up: float = 0.5
    window: float = 0.1
    requests: int | None = None


@dataclass(frozen=True)
class Tally:
    """What the client saw. Latencies in microseconds."""

    requests: int
    seconds: float
    reconnects: int
    p50_us: float
    p99_us: float
    max_us: float


class LoadClient:
    """A client whose connections are open and warm."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self) -> Tally:
        """One run. The connections stay open afterwards, for the next."""
        self._say("go\n")
        return Tally(**json.loads(self._hear()))

    def cpu_seconds(self) -> float:
        return cpu_clock(self._process.pid)

    def wait_ready(self) -> None:
        self._hear()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise ServerFailed(self._process.stderr.read().strip())
        return line

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()


def build_client() -> Path:
    """Builds the client, unless it is up to date, and gives its path."""
    if shutil.which("cargo") is None:
        raise ClientMissing(
            "the load client is built with cargo: install Rust from https://rustup.rs"
        )
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--package", "bicorn-load"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise ClientMissing("the load client does not build: see above")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return ROOT / target / "release" / "bicorn-load"


def allow_connections() -> None:
    """Raises the limit of open files, for this process and all it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def loading(client: Path, target: Target, work: Work, load: Load) -> Iterator[LoadClient]:
    """Opens the connections and warms the server up; closes them at the end of the block."""
    request = target.directory / "request"
    request.write_bytes(work.request)
    command = [
        *(str(client), "--address", target.address, "--request", str(request)),
        *("--body-length", str(work.body_length), "--connections", str(load.connections)),
        *("--time", str(load.window), "--warm-up", str(load.warm_up)),
    ]
    if load.requests is not None:
        command += ["--requests", str(load.requests)]
    with on_core(CLIENT_CORE):
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    with process:
        try:
            opened = LoadClient(process)
            opened.wait_ready()
            yield opened
        except BaseException:
            process.kill()
            raise
