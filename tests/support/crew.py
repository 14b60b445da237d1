"""Several workers on one listener and one scoreboard, which the test reads: real hosts without the parent's part.

A program of its own, so that the board is made before the fork, and `Crew`, a test's handle to it.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from bicorn._native import Scoreboard
from bicorn.config import Config
from bicorn.gateway.loading import load_app
from bicorn.hosts import Job, host_for
from bicorn.log.setup import set_up
from bicorn.supervisor.listeners import Listener, bind_all


class Crew:
    """What a test knows of the workers. The slots' numbers are the workers'."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        told = self._hear()
        self.address: tuple[str, int] = ("127.0.0.1", told["port"])
        self.pids: list[int] = told["pids"]

    def board(self) -> list[dict[str, int]]:
        """The slots' counters."""
        return self._ask("read")

    def latency(self) -> list[list[int]]:
        return self._ask("latency")

    def requests(self) -> list[list[tuple[str, str, str, str, int]]]:
        """The requests in flight in each slot."""
        return [[tuple(each) for each in listed] for listed in self._ask("requests")]

    def _ask(self, what: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def crew(
    app: str,
    workers: int,
    *,
    cwd: Path,
    descriptors: int = 0,
    environment: Mapping[str, str] | None = None,
    log: int | None = None,
    **options: object,
) -> Iterator[Crew]:
    """Workers that serve, ended afterwards with status 0. ``descriptors`` is how many each may have open; the error
    log goes to the descriptor ``log``."""
    order = {"app": app, "workers": workers, "descriptors": descriptors, "options": options}
    process = subprocess.Popen(
        [sys.executable, __file__, json.dumps(order)],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    with process:
        try:
            yield Crew(process)
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0


class Progress:
    """Tells when a host serves."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def note_serving(self) -> None:
        os.write(self._pipe, b"!")

    def note_draining(self) -> None: ...

    def note_stopping(self) -> None: ...


def main(order: dict[str, Any]) -> int:
    config = Config(app=order["app"], access_log=False, **order["options"])
    listeners = bind_all(["127.0.0.1:0"])
    board = Scoreboard(order["workers"])
    news, pipe = os.pipe()
    pids = []
    for slot in range(order["workers"]):
        pid = os.fork()
        if pid == 0:
            if order["descriptors"]:
                resource.setrlimit(resource.RLIMIT_NOFILE, (order["descriptors"],) * 2)
            work(config, listeners, (board, slot), Progress(pipe))
        pids.append(pid)
    for _ in pids:
        os.read(news, 1)
    port = int(listeners[0].url.rpartition(":")[2])
    print(json.dumps({"port": port, "pids": pids}), flush=True)
    for line in sys.stdin:
        ask = getattr(board, line.strip())
        print(json.dumps([ask(slot) for slot in range(len(board))]), flush=True)
    return end(pids)


def work(
    config: Config, listeners: list[Listener], board: tuple[Scoreboard, int], progress: Progress
) -> NoReturn:
    # Only the parent answers the test.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    loaded = load_app(config)
    host, _ = host_for(loaded.interface, config.loop)
    host(
        Job(
            config=config,
            app=loaded.app,
            listeners=listeners,
            board=board,
            logger=set_up("info"),
            worker=progress,
        )
    )
    os._exit(0)


def end(pids: list[int]) -> int:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGTERM)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
