"""The program that `tests.support.load` starts: loads a server, and counts all that goes wrong.

Owns how a request is asked and what counts as a failure. Runs alone in its process, so that what it measures is not
disturbed by the test; speaks JSON lines: its plan is the first argument, each line of standard input is answered
with one line of standard output, and the end of standard input ends it.

Each client is a thread with at most one connection. There are three kinds of them:

    keep-alive   asks again on the same connection, until the server says that it will close it
    fresh        a new connection for each request
    stream       an answer of many parts, read whole

What a well-behaved client has no reason to complain of is counted but is no failure: a connection that had ended in
good order before anything was asked on it. A kept-alive one in steady use that ends under a request is a failure.
"""

import errno
import itertools
import json
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.support.wire import Answer, Wire, request

TIMEOUT = 10.0
"""Seconds for a connection, and for each part of an answer."""
WAIT_LIMIT = 40.0
COUNT_LIMIT = 200.0
"""Seconds after which something that was waited for has not happened; and after which a count is not reached."""
BREATH = 0.01
"""Seconds between a failure and the next request: a server that is gone is not asked a million times."""
RAMP = 0.005
"""Seconds between two connections at the start: they are many users, not one flood."""
GLANCE = 0.005
"""Seconds between two looks at whether something that is waited for has come."""
RECORDS = 500
STREAM_BLOCKS = 20


@dataclass
class Plan:
    """``clients`` by kind. ``rate`` is of all clients together, in requests a second, 0 for no pauses; ``count`` the
    requests of each client, 0 for no end."""

    host: str
    port: int
    clients: dict[str, int]
    rate: float = 0.0
    count: int = 0


class Failed(Exception):
    """A request was not answered as it should be."""

    def __init__(self, kind: str, detail: object = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = str(detail)


@dataclass
class Seen:
    """Answers that had one thing in common; times of the monotonic clock, which all processes share."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0

    def note(self, now: float) -> None:
        self.first = self.first or now
        self.last = now
        self.count += 1


@dataclass
class Latency:
    """Seconds, longest exactly and the others in milliseconds."""

    longest: float = 0.0
    milliseconds: Counter[int] = field(default_factory=Counter)

    def note(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self.milliseconds[int(seconds * 1000) + 1] += 1

    def p99(self) -> float:
        left = self.milliseconds.total() // 100
        for milliseconds in sorted(self.milliseconds, reverse=True):
            left -= self.milliseconds[milliseconds]
            if left < 0:
                return milliseconds / 1000
        return 0.0


class Tally:
    """What all clients have seen."""

    def __init__(self, clients: dict[str, int]) -> None:
        self.lock = threading.Lock()
        self.answered = dict.fromkeys(clients, 0)
        self.latencies = {kind: Latency() for kind in clients}
        self.workers: dict[int, Seen] = {}
        self.versions: dict[str, Seen] = {}
        self.failed: Counter[str] = Counter()
        self.failures: list[dict[str, Any]] = []
        self.ended_idle = 0
        self.running = 0

    def note_answer(self, kind: str, answer: Answer, seconds: float) -> None:
        now = time.monotonic()
        with self.lock:
            self.answered[kind] += 1
            self.latencies[kind].note(seconds)
            self.workers.setdefault(worker_of(answer), Seen()).note(now)
            self.versions.setdefault(answer.header("x-version") or "", Seen()).note(now)

    def note_failure(self, client: "Client", failure: Failed, word: str) -> None:
        with self.lock:
            self.failed[failure.kind] += 1
            if len(self.failures) < RECORDS:
                record = {"kind": failure.kind, "detail": failure.detail, "word": word}
                self.failures.append(
                    {**record, "client": client.name, "pid": client.worker, "at": time.monotonic()}
                )

    def note_ended_idle(self) -> None:
        with self.lock:
            self.ended_idle += 1

    def note_running(self, change: int) -> None:
        with self.lock:
            self.running += change

    def snapshot(self) -> dict[str, Any]:
        with self.lock:
            return {
                "answered": dict(self.answered),
                "failed": dict(self.failed),
                "failures": list(self.failures),
                "ended_idle": self.ended_idle,
                "workers": {pid: asdict(seen) for pid, seen in self.workers.items()},
                "versions": {version: asdict(seen) for version, seen in self.versions.items()},
                "longest": {kind: one.longest for kind, one in self.latencies.items()},
                "p99": {kind: one.p99() for kind, one in self.latencies.items()},
            }


class Pace:
    """When the next request is due, for all clients together."""

    def __init__(self, rate: float) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._interval = 1 / rate if rate else 0.0
        self._due = time.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    def breathe(self) -> None:
        self._stopped.wait(BREATH)

    def next(self) -> bool:
        """Waits until a request is due. Whether there is one: false when all are to stop."""
        with self._lock:
            # What could not be asked in time is not made up for.
            self._due = max(self._due + self._interval, time.monotonic())
            delay = self._due - time.monotonic()
        return not (self._stopped.wait(delay) if delay > 0 else self._stopped.is_set())


class Client:
    """One of the clients. ``worker`` is who has answered last on its connection, 0 where that is not known."""

    def __init__(self, kind: str, number: int, plan: Plan, tally: Tally) -> None:
        self.kind = kind
        self.name = f"{kind}-{number}"
        self.worker = 0
        self._address = (plan.host, plan.port)
        self._count = plan.count
        self._tally = tally
        self._wire: Wire | None = None
        self._path, self._expected, fields = KINDS[kind]
        self._fields = fields

    def open(self) -> None:
        """Connects those that stay connected, before any of them asks: how they are spread is then the server's
        doing, and not theirs."""
        if self.kind == "fresh":
            return
        try:
            self._wire = connect(self._address)
        except Failed as failure:
            self._tally.note_failure(self, failure, "")
        time.sleep(RAMP)

    def run(self, pace: Pace) -> None:
        self._tally.note_running(+1)
        for number in range(self._count) if self._count else itertools.count():
            if not pace.next():
                break
            word = f"{self.name}-{number}"
            try:
                self._ask(word)
            except Failed as failure:
                self._tally.note_failure(self, failure, word)
                self._leave()
                pace.breathe()
        self._leave()
        self._tally.note_running(-1)

    def _ask(self, word: str) -> None:
        """One request. Raises `Failed`."""
        began = time.monotonic()
        if self._wire is not None and has_ended(self._wire):
            self._tally.note_ended_idle()
            self._leave()
        wire = self._wire = self._wire or connect(self._address)
        answer = self._exchange(wire, word)
        if answer.status // 100 != 2:
            raise Failed(f"status {answer.status}", answer.body[:200])
        if answer.body != self._expected(word):
            raise Failed("wrong body", f"{len(answer.body)} bytes: {answer.body[:200]!r}")
        self.worker = worker_of(answer)
        if self.kind == "fresh" or answer.header("connection") == "close":
            end_of(wire)
            self._leave()
        self._tally.note_answer(self.kind, answer, time.monotonic() - began)

    def _exchange(self, wire: Wire, word: str) -> Answer:
        kept = bool(self.worker)
        try:
            answer = wire.send(request(self._path + word, headers=self._fields)).answer()
        except EOFError as end:
            if end.args[0]:
                raise Failed("ended inside a head", end.args[0][:200]) from None
            raise Failed("closed under a request" if kept else "ended before an answer") from None
        except TimeoutError as error:
            raise Failed("timeout", "for the answer") from error
        except ConnectionError as error:
            raise Failed("reset under a request" if kept else "reset", error.strerror) from error
        except (AssertionError, ValueError) as error:
            raise Failed("malformed", error) from error
        if not answer.complete:
            self.worker = worker_of(answer)
            raise Failed("ended inside an answer", f"after {len(answer.body)} bytes")
        return answer

    def _leave(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._wire, self.worker = None, 0


def connect(address: tuple[str, int]) -> Wire:
    try:
        return Wire.over(socket.create_connection(address, TIMEOUT))
    except ConnectionRefusedError:
        raise Failed("refused") from None
    except TimeoutError:
        raise Failed("timeout", "for a connection") from None
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "an error")
        raise Failed(f"no connection: {name}", error.strerror) from error


def has_ended(wire: Wire) -> bool:
    """Whether a kept-alive connection has ended in good order, or has brought what nobody asked for."""
    if not select.select([wire.socket], [], [], 0)[0]:
        return False
    try:
        data = wire.socket.recv(1, socket.MSG_PEEK)
    except ConnectionError as error:
        raise Failed("reset between answers", error.strerror) from error
    if data:
        raise Failed("bytes between answers")
    return True


def end_of(wire: Wire) -> None:
    """The server has said that it closes the connection: waits for it."""
    try:
        if not wire.is_closed():
            raise Failed("bytes after the last answer")
    except TimeoutError:
        raise Failed("timeout", "for the end of the connection") from None
    except ConnectionError as error:
        raise Failed("reset after the last answer", error.strerror) from error


def worker_of(answer: Answer) -> int:
    return int(answer.header("x-worker") or 0)


def stream_of(word: str) -> bytes:
    """What apps/content.py sends in so many blocks."""
    return b"".join(f"{word} {number} ".encode() * 100 for number in range(STREAM_BLOCKS))


KINDS: dict[str, tuple[str, Callable[[str], bytes], tuple[str, ...]]] = {
    "keep-alive": ("/echo/", str.encode, ()),
    "fresh": ("/echo/", str.encode, ("Connection: close",)),
    "stream": ("/stream/", stream_of, ()),
}
"""Path, body and request fields."""


class Desk:
    """Does what the lines of standard input ask for."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        has_come = self._condition(order)
        patience = COUNT_LIMIT if order["wait"] == "end" else WAIT_LIMIT
        limit = time.monotonic() + patience + order.get("seconds", 0.0)
        # Looked at from time to time: to be woken by each answer would slow the clients down.
        while not (came := has_come()) and time.monotonic() < limit:
            time.sleep(GLANCE)
        return {"came": came, **self._tally.snapshot()}

    def _condition(self, order: dict[str, Any]) -> Callable[[], bool]:
        tally, word = self._tally, order["wait"]
        if word == "start":
            return lambda: all(tally.answered.values())
        if word == "answers":
            goal = {kind: count + order["each"] for kind, count in tally.answered.items()}
            return lambda: all(tally.answered[kind] >= goal[kind] for kind in goal)
        if word == "version":
            return lambda: order["version"] in tally.versions
        if word == "worker":
            return lambda: order["pid"] in tally.workers
        if word == "failure":
            return lambda: bool(tally.failures)
        if word == "end":
            return lambda: tally.running == 0
        if word == "seconds":
            until = time.monotonic() + order["seconds"]
            return lambda: time.monotonic() >= until
        return lambda: True


def main() -> int:
    plan = Plan(**json.loads(sys.argv[1]))
    tally, pace = Tally(plan.clients), Pace(plan.rate)
    clients = [
        Client(kind, number, plan, tally)
        for kind, count in plan.clients.items()
        for number in range(count)
    ]
    threads = [threading.Thread(target=client.run, args=(pace,)) for client in clients]
    for client in clients:
        client.open()
    for thread in threads:
        thread.start()
    desk = Desk(tally)
    for line in sys.stdin:
        order = json.loads(line)
        if order["wait"] == "end" and not plan.count:
            pace.stop()
        sys.stdout.write(json.dumps(desk.answer(order)) + "\n")
        sys.stdout.flush()
    pace.stop()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
