"""With --preload workers come from one import, are the parent's own children, and say what they say without it."""

import os
import re
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process.conftest import Start, refuses
from tests.support.server import PATIENCE, Server, serving
from tests.support.wire import Wire, request

APP = """
import os, threading
with open(os.environ["IMPORTS"], "a") as imports:
    imports.write(f"{os.getpid()}\\n")
BALLAST = os.urandom(int(os.environ.get("BALLAST", 0)) << 20)
"""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""
ASGI = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
MIB = 1 << 20


class Preloaded:
    """A server with a template, and who imported its application."""

    def __init__(self, server: Server, imports: Path) -> None:
        self.server = server
        self._imports = imports

    def imports(self) -> list[int]:
        return [int(pid) for pid in self._imports.read_text().split()]

    def template(self) -> int:
        return int(self.server.wait_for_log(r"template (\d+) has imported the application")[1])

    def workers(self) -> list[int]:
        return [pid for pid in self.server.workers() if pid not in self.imports()]

    def worker(self) -> int:
        with Wire(self.server.address) as wire:
            return int(wire.send(request()).answer().body)


@contextmanager
def preloaded(
    directory: Path, *arguments: str, source: str = WSGI, **environment: str
) -> Iterator[Preloaded]:
    write_app(directory, source)
    imports = directory / "imports"
    environment = {"IMPORTS": str(imports), **environment}
    command = ("preloaded:app", "--preload", *arguments)
    with serving(*command, cwd=directory, environment=environment) as server:
        yield Preloaded(server, imports)


def write_app(directory: Path, source: str) -> None:
    (directory / "preloaded.py").write_text(APP + source)


@pytest.fixture(params=[WSGI, ASGI], ids=["wsgi", "asgi"])
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def proportional_set_size(pid: int) -> int:
    """Bytes, of which pages that n processes share count as an nth."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1]) << 10


def test_memory_is_shared(tmp_path: Path, source: str) -> None:
    with preloaded(tmp_path, "--workers=4", source=source, BALLAST="50") as it:
        it.server.wait_for_log(r"(?s)(worker \d+ is ready.*){3}")
        workers = it.workers()
        assert len(workers) == 4
        assert it.imports() == [it.template()]
        shares = [proportional_set_size(pid) for pid in (*workers, it.template())]
        # Alone, each would have more than 50 MiB.
        assert sum(shares) < 110 * MIB, shares


def test_a_worker_that_is_killed_is_followed_without_an_import(tmp_path: Path, source: str) -> None:
    with preloaded(tmp_path, source=source) as it:
        first = it.worker()
        os.kill(first, signal.SIGKILL)
        # The parent has reaped it, and knows how it ended.
        it.server.wait_for_log(rf"worker {first} was killed by SIGKILL")
        it.server.wait_for_log(r"worker \d+ is ready")
        assert it.worker() != first
        assert it.imports() == [it.template()]


def test_processes_keep_nothing_of_each_other(tmp_path: Path) -> None:
    with preloaded(tmp_path, "--workers=2") as it:
        it.server.wait_for_log(r"worker \d+ is ready")
        # What leads to the parent; and for a worker, what it listens on.
        assert len(sockets_of(it.template())) == 1
        ours, theirs = (sockets_of(pid) for pid in it.workers())
        assert len(ours) == len(theirs) == 2
        assert len(ours & theirs) == 1


def sockets_of(pid: int) -> set[str]:
    targets = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return {target for target in targets if target.startswith("socket:")}


def test_exit_statuses_reach_the_parent(tmp_path: Path) -> None:
    leave = "def app(environ, start_response):\n    os._exit(7)\n"
    with preloaded(tmp_path, source=leave) as it:
        (first,) = it.workers()
        with Wire(it.server.address) as wire:
            wire.send(request())
            assert wire.is_closed()
        it.server.wait_for_log(rf"worker {first} exited with status 7")
        it.server.wait_for_log(r"worker \d+ is ready")


def test_a_template_that_is_killed_is_followed(tmp_path: Path) -> None:
    with preloaded(tmp_path) as it:
        first, worker = it.template(), it.worker()
        os.kill(first, signal.SIGKILL)
        it.server.wait_for_log(rf"template {first} .*: another is made for the next worker")
        assert it.worker() == worker
        os.kill(worker, signal.SIGKILL)
        it.server.wait_for_log(r"worker \d+ is ready")
        assert it.worker() != worker
        assert len(it.imports()) == 2


def test_a_reload_makes_a_template_with_the_new_code(tmp_path: Path) -> None:
    with preloaded(tmp_path, "--workers=2") as it:
        former = os.pidfd_open(it.template())
        try:
            write_app(tmp_path, WSGI.replace("str(os.getpid())", "str(-os.getpid())"))
            it.server.signal(signal.SIGHUP)
            it.server.wait_for_log("all workers have the new code")
            # Those with the old code may take a connection until they have gone.
            it.server.wait_for_log("(?s)(another took its place.*){2}")
            assert it.worker() < 0
            assert len(it.imports()) == 2
            # A process descriptor becomes readable when its process ends.
            assert select.select([former], [], [], PATIENCE)[0]
        finally:
            os.close(former)


def test_a_reload_that_fails_leaves_the_former_template(tmp_path: Path) -> None:
    with preloaded(tmp_path) as it:
        first = it.worker()
        write_app(tmp_path, "raise ValueError('my own')\n")
        it.server.signal(signal.SIGHUP)
        it.server.wait_for_log("my own.*: the reload has failed")
        assert it.worker() == first
        os.kill(first, signal.SIGKILL)
        it.server.wait_for_log(r"worker \d+ is ready")
        # The code that cannot be imported is asked for by nobody.
        assert it.worker() != first
        assert len(it.imports()) == 2


MISTAKES = {
    "import error": ("import no_such_module\n", 3, "no_such_module"),
    "raises": ("raise ValueError('my own')\n", 3, "my own"),
    "exits": ("import sys\nsys.exit('my own')\n", 3, "my own"),
    "leaves": ("os._exit(9)\n", 6, "it exited with status 9 before it was ready"),
    "lifespan fails": (
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n",
        5,
        "no database",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_as_without(start: Start, tmp_path: Path, mistake: str) -> None:
    source, status, reason = MISTAKES[mistake]
    (tmp_path / "bad.py").write_text(f"import os\n{source}")
    command = ("bad:app", "-b", "127.0.0.1:0", "--workers=2")
    logs = []
    for more in ((), ("--preload",)):
        server = start(*command, *more, cwd=tmp_path)
        assert server.wait() == status, server.log
        logs.append(re.sub(r"^.*has imported the application.*\n", "", server.log))
    assert reason in logs[1]
    assert "/bicorn/" not in logs[1], "frames of the server's own"
    if status != 6:
        assert logs[0] == logs[1]


def test_nothing_outlives_a_parent_that_is_killed(start: Start, tmp_path: Path) -> None:
    write_app(tmp_path, WSGI)
    server = start(
        "preloaded:app",
        "--preload",
        "-b",
        "127.0.0.1:0",
        "--workers=2",
        cwd=tmp_path,
        environment={"IMPORTS": str(tmp_path / "imports")},
    ).wait_until_ready()
    server.wait_for_log(r"worker \d+ is ready")
    children = [os.pidfd_open(pid) for pid in server.workers()]
    try:
        assert len(children) == 3
        server.signal(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        for child in children:
            # A process descriptor becomes readable when its process ends.
            assert select.select([child], [], [], PATIENCE)[0]
    finally:
        for child in children:
            os.close(child)
    assert refuses(server.address[1])


@pytest.fixture
def importing(start: Start, tmp_path: Path) -> Server:
    """A server whose template is in the midst of the import."""
    slow = "import os, signal\nos.write(2, b'app loads\\n')\nsignal.pause()\n"
    (tmp_path / "slow.py").write_text(slow)
    server = start("slow:app", "--preload", "-b", "127.0.0.1:0", cwd=tmp_path)
    server.wait_for_log("app loads")
    return server


def test_a_template_is_killed_with_its_parent_while_it_imports(importing: Server) -> None:
    importing.signal(signal.SIGKILL)
    assert importing.wait() == -signal.SIGKILL


def test_an_end_while_the_template_imports(importing: Server) -> None:
    assert importing.stop() == 0


def test_what_the_application_prints_at_import_is_printed_once(tmp_path: Path) -> None:
    source = f"import sys\nsys.stdout.write('no newline ')\n{WSGI}"
    with preloaded(tmp_path, "--workers=3", source=source) as it:
        it.server.wait_for_log(r"(?s)(worker \d+ is ready.*){2}")
    assert it.server.access_log.count("no newline") == 1


def test_what_a_fork_does_not_copy_is_told(tmp_path: Path) -> None:
    source = (
        "import asyncio\nloop = asyncio.new_event_loop()\n"
        "threading.Thread(target=threading.Event().wait, name='refresher', daemon=True).start()\n"
    )
    with preloaded(tmp_path, "--workers=2", source=source + ASGI) as it:
        it.server.wait_for_log(r"worker \d+ is ready")
        assert it.server.log.count("'refresher'") == 1
        assert it.server.log.count("_UnixSelectorEventLoop") == 1
        assert it.worker()
