"""Load on a server while a test does something to it, and what became of each request.

Owns the test's end of the client, which is a process of its own, `tests.support.load_client`: it says what counts as
a failure.

    with load(server.address) as clients:
        server.signal(signal.SIGHUP)
        clients.wait_for_version("2")
        result = clients.result()
    assert result.failed == 0, result
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = {"keep-alive": 4, "fresh": 2, "stream": 2}


@dataclass
class Seen:
    """Answers of one worker or one version; times of the monotonic clock."""

    count: int
    first: float
    last: float


@dataclass
class Failure:
    """``pid`` is the worker that had answered on the connection before, or 0; ``word`` stands in the request's path."""

    kind: str
    detail: str
    word: str
    client: str
    pid: int
    at: float


@dataclass
class Result:
    """``kinds`` counts every failure by its kind, ``failures`` are the first 500; ``ended_idle`` connections had ended
    in good order before anything was asked on them, which is no failure. Seconds by kind of client."""

    answered: dict[str, int]
    kinds: dict[str, int]
    failures: list[Failure]
    ended_idle: int
    workers: dict[int, Seen]
    versions: dict[str, Seen]
    longest: dict[str, float]
    p99: dict[str, float]

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Result":
        told["kinds"] = told.pop("failed")
        told["failures"] = [Failure(**record) for record in told["failures"]]
        told["workers"] = {int(pid): Seen(**seen) for pid, seen in told["workers"].items()}
        told["versions"] = {name: Seen(**seen) for name, seen in told["versions"].items()}
        return cls(**{one.name: told[one.name] for one in fields(cls)})

    @property
    def failed(self) -> int:
        return sum(self.kinds.values())

    @property
    def summary(self) -> str:
        """For those who want to know how well it went."""
        return f"{sum(self.answered.values())} answered, {self.failed} failed"

    def __str__(self) -> str:
        """For the message of a test that fails."""
        lines = [f"answered {self.answered}, failed {self.kinds}, longest {self.longest}"]
        lines += [f"  {failure}" for failure in self.failures[:20]]
        return "\n".join(lines)


class Load:
    """Clients at work. Each ``wait`` gives what was seen up to then, and fails if what it waits for does not come."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def wait_for_start(self) -> Result:
        """Each kind of client has had an answer."""
        return self._ask(wait="start")

    def wait_for_answers(self, each: int) -> Result:
        """So many more for each kind of client."""
        return self._ask(wait="answers", each=each)

    def wait_for_version(self, version: str) -> Result:
        """An answer of the code of this version."""
        return self._ask(wait="version", version=version)

    def wait_for_worker(self, pid: int) -> Result:
        """An answer of this worker."""
        return self._ask(wait="worker", pid=pid)

    def wait_for_failure(self) -> Result:
        return self._ask(wait="failure")

    def go_on_for(self, seconds: float) -> Result:
        """Loads for so long. For what is measured over time, never for what could be waited for."""
        return self._ask(wait="seconds", seconds=seconds)

    def result(self) -> Result:
        """Stops, or waits until all was asked that was to be: the final figures."""
        return self._ask(wait="end")

    def _ask(self, **order: Any) -> Result:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the client has ended with status {self._process.wait()}"
        told = json.loads(line)
        came = told.pop("came")
        result = Result.of(told)
        assert came, f"did not come: {order}\n{result}"
        return result


@contextmanager
def load(
    address: tuple[str, int],
    clients: dict[str, int] | None = None,
    *,
    rate: float = 0.0,
    count: int = 0,
) -> Iterator[Load]:
    """Loads the server from before the block, when each kind of client has had answers, to its end at the latest.

    ``rate`` is of all clients together, in requests a second; without it they make no pauses. ``count`` is of each
    client; without it they go on until they are stopped.
    """
    host, port = address
    plan = {"host": host, "port": port, "clients": clients or CLIENTS, "rate": rate, "count": count}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.load_client", json.dumps(plan)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            work = Load(process)
            work.wait_for_start()
            yield work
        except BaseException:
            process.kill()
            raise
