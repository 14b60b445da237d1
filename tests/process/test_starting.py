"""A start that cannot succeed ends soon, with the reason told once, and the exit status of docs/errors.md."""

import re
from pathlib import Path

import pytest

from tests.process.conftest import Start
from tests.support.wire import Wire, request

STARLETTE_LIKE = """
import traceback

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        try:
            raise RuntimeError("no database")
        except RuntimeError:
            await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
            raise
"""

MISTAKES = {
    "import error": ("import no_such_module\n", "bad:app", 3, "no_such_module"),
    "syntax error": ("def app(:\n", "bad:app", 3, "syntax error in bad.py, line 1"),
    "raises": ("def f():\n    raise ValueError('my own')\nf()\n", "bad:app", 3, "my own"),
    "exits": ("import sys\nsys.exit('my own')\n", "bad:app", 3, "my own"),
    "no attribute": ("def app(e, s): pass\n", "bad:ap", 3, "bad:app"),
    "no module": ("", "baad:app", 3, "bad"),
    "leaves": ("import os\nos._exit(9)\n", "bad:app", 6, "exited with status 9"),
    "aborts": ("import os\nos.abort()\n", "bad:app", 6, "was killed by SIGABRT"),
    "lifespan fails": (STARLETTE_LIKE, "bad:app", 5, "RuntimeError: no database"),
    "lifespan fails without a word": (
        STARLETTE_LIKE.replace("traceback.format_exc()", "''"),
        "bad:app",
        5,
        "the application failed to start",
    ),
}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_once(start: Start, tmp_path: Path, mistake: str, workers: int) -> None:
    source, target, status, reason = MISTAKES[mistake]
    (tmp_path / "bad.py").write_text(source)
    server = start(target, "-b", "127.0.0.1:0", f"--workers={workers}", cwd=tmp_path)
    assert server.wait() == status, server.log
    told = [line for line in server.log.splitlines() if line.startswith("bicorn: ")]
    assert len(told) == 1, server.log
    assert server.log.endswith(f"{told[0]}\n")
    assert reason in server.log
    assert server.log.count("Traceback") <= 1, server.log
    assert "/bicorn/" not in server.log, "frames of the server's own"


def test_a_lifespan_that_is_required_and_missing(start: Start) -> None:
    server = start("asgi:app", "-b", "127.0.0.1:0", "--lifespan=on")
    assert server.wait() == 5
    assert re.search(r"^bicorn: .*--lifespan auto$", server.log, re.MULTILINE), server.log
    assert server.log.count("NotImplementedError: lifespan") <= 2


def test_an_access_log_that_cannot_be_written(start: Start, interface: str) -> None:
    path = "/no/such/directory/log"
    server = start(f"{interface}:app", "-b", "127.0.0.1:0", f"--access-log-file={path}")
    assert server.wait() == 2, server.log
    assert f"bicorn: cannot write the access log to {path}: No such file" in server.log
    assert "Traceback" not in server.log


FIRST_FAILS = """
import os

try:
    os.close(os.open(os.environ["MARK"], os.O_CREAT | os.O_EXCL))
except FileExistsError:
    pass
else:
    raise RuntimeError("the first attempt fails")

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"up"})
"""


def test_one_of_several_workers_that_fails_at_first_is_started_again(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "flaky.py").write_text(FIRST_FAILS)
    server = start(
        "flaky:app",
        "-b",
        "127.0.0.1:0",
        "--workers=3",
        cwd=tmp_path,
        environment={"MARK": str(tmp_path / "mark")},
    ).wait_until_ready()
    server.wait_for_log(r"(?s)(worker \d+ is ready.*){2}")
    assert len(server.workers()) == 3
    assert server.log.count("RuntimeError: the first attempt fails") >= 1
    assert server.log.count("trying again") == 1, server.log
    with Wire(server.address) as wire:
        assert wire.send(request()).answer().body == b"up"
    assert server.stop() == 0


OWN_LOOP = """
import asyncio

class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        raise RuntimeError("nobody should ask")

asyncio.set_event_loop_policy(Policy())

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"up"})
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_event_loop_policy_of_the_application(start: Start, tmp_path: Path, loop: str) -> None:
    (tmp_path / "policy.py").write_text(OWN_LOOP)
    server = start("policy:app", "-b", "127.0.0.1:0", f"--loop={loop}", cwd=tmp_path)
    with Wire(server.wait_until_ready().address) as wire:
        assert wire.send(request()).answer().body == b"up"
    assert server.stop() == 0, server.log


def test_options_come_from_the_environment(start: Start, interface: str) -> None:
    environment = {"BICORN_BIND": "127.0.0.1:0", "BICORN_WORKERS": "2", "BICORN_ACCESS_LOG": "off"}
    server = start(f"{interface}:app", environment=environment).wait_until_ready()
    assert "2 workers" in server.log
    with Wire(server.address) as wire:
        assert wire.send(request()).answer().status == 200
    assert server.stop() == 0
    assert server.access_log == ""
