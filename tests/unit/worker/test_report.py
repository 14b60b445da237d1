"""A worker answers inquiries while it serves, on each host, and its application notices nothing."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

from bicorn.hosts import asyncio_host, plain
from bicorn.reserved import END_MARK, REPORT_SIGNAL, TASKS_MARK
from bicorn.supervisor.stacks import Stacks, has_end
from bicorn.worker import report
from tests.support.wire import Wire, request
from tests.unit.hosts.conftest import a_first_uvloop as a_first_uvloop
from tests.unit.hosts.conftest import run

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Pipe:
    """What the parent has of a worker."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def ask(self) -> Stacks:
        """Asks this very process, from a thread that is not the main one."""
        os.kill(os.getpid(), REPORT_SIGNAL)
        data = b""
        while not has_end(data):
            data += os.read(self.reader, 65536)
        return Stacks(data)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    former = signal.getsignal(REPORT_SIGNAL)
    pipe = Pipe()
    report.install(pipe.writer)
    yield pipe
    report.withdraw()
    signal.signal(REPORT_SIGNAL, former)
    os.close(pipe.reader)
    os.close(pipe.writer)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_under_an_event_loop(pipe: Pipe, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    factory, _ = asyncio_host.loop_factory(loop)
    told: list[Stacks] = []
    reached = threading.Event()
    released: list[Callable[[], object]] = []

    async def view(name: str) -> None:
        go_on = asyncio.Event()
        released.append(go_on.set)
        running = asyncio.get_running_loop()
        released.append(lambda: running.call_soon_threadsafe(go_on.set))
        reached.set()
        await go_on.wait()

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await view(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    def client(wire: Wire) -> None:
        wire.send(request("/slow%0Aone"))
        assert reached.wait(10)
        told.extend(pipe.ask() for _ in range(3))
        released[-1]()
        assert wire.answer().body == b"done"

    run(lambda job: asyncio_host.serve(job, factory), app, client, lifespan="off")
    for stacks in told:
        assert stacks.is_python_running
        assert stacks.main_thread is not None
        heading = next(line for line in stacks.tasks if "bicorn-request" in line)
        assert heading.endswith("app, GET /slow\\none (most recent call first):")
        begin = stacks.tasks.index(heading)
        functions = [line.rpartition(" in ")[2] for line in stacks.tasks[begin + 1 : begin + 4]]
        assert functions == ["wait", "view", "app"]


def test_the_request_of_the_task_that_runs(pipe: Pipe) -> None:
    factory, _ = asyncio_host.loop_factory("asyncio")
    told: list[Stacks] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        thread = threading.Thread(target=lambda: told.append(pipe.ask()))
        thread.start()
        thread.join()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    def client(wire: Wire) -> None:
        assert wire.send(request("/blocks")).answer().status == 200

    run(lambda job: asyncio_host.serve(job, factory), app, client, lifespan="off")
    (stacks,) = told
    assert stacks.doing == "GET /blocks"
    assert "app, GET /blocks, running" in stacks.tasks[0]


def test_under_the_plain_host(pipe: Pipe) -> None:
    told: list[Stacks] = []

    def app(_environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"done"]

    def client(wire: Wire) -> None:
        told.append(pipe.ask())
        assert wire.send(request()).answer().body == b"done"
        told.append(pipe.ask())

    assert run(plain.serve, app, client) == ["serving", "draining"]
    for stacks in told:
        assert stacks.is_python_running
        assert stacks.tasks == []
        assert any(thread.is_main for thread in stacks.threads)


def test_a_pipe_that_nobody_reads_blocks_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.reader, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe.writer, b"x" * 4096)
    signal.raise_signal(REPORT_SIGNAL)
    with contextlib.suppress(BlockingIOError):
        while data := os.read(pipe.reader, 4096):
            assert set(data) == {ord("x")}
    assert pipe.ask().is_python_running


def test_what_cannot_be_told_does_not_reach_the_application(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[str]:
        raise RuntimeError("no tasks\n")

    monkeypatch.setattr(report, "_lines_of_tasks", broken)
    stacks = pipe.ask()
    assert stacks.tasks == ["the tasks cannot be told: RuntimeError('no tasks\\n')"]


def test_of_ten_thousand_tasks_some_are_told(pipe: Pipe) -> None:
    async def many() -> bytes:
        tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(10_000)]
        await asyncio.sleep(0)
        signal.raise_signal(REPORT_SIGNAL)
        data = os.read(pipe.reader, 1 << 20)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return data

    data = asyncio.run(many())
    assert len(data) < 65536
    assert data.endswith(f"\n{END_MARK}\n".encode())
    assert data.count(f"\n{TASKS_MARK}\n".encode()) == 1
    assert 10 < data.count(b"\ntask 'Task-") <= report.MOST_TASKS + 1


def test_at_its_very_end_a_worker_does_not_die_of_the_question() -> None:
    script = """if True:
        import os, signal
        from bicorn.reserved import REPORT_SIGNAL
        from bicorn.worker.report import install

        class Late:
            def __del__(self):
                # The interpreter has put its own handlers away by now.
                os.kill(os.getpid(), REPORT_SIGNAL)
                os.write(1, b"after it")

        install(os.open(os.devnull, os.O_WRONLY))
        late = Late()
    """
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"after it", b"")
