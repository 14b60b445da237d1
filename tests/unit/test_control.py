"""The verbs that ask a running server: they find it, ask it, and say what is wrong. Real doors in real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bicorn import control
from bicorn.cli import main
from bicorn.errors import ConfigError, ControlError
from bicorn.reserved import VERBS, door_name
from bicorn.supervisor.door import open_door
from bicorn.supervisor.loop import Loop

Reply = Callable[[str], None]

STATUS = {
    "pid": 4711,
    "version": "1.2",
    "uptime": 7384.0,
    "state": "serving",
    "generation": 2,
    "last_reload": "all workers are of generation 2",
    "workers": [
        {
            "pid": 4712,
            "slot": 0,
            "generation": 2,
            "state": "serving",
            "age": 61.5,
            "blocked": 30.25,
            "connections": 12,
            "in_flight": 3,
            "requests": 41,
            "errors": 0,
            "lag": 0.0015,
            "memory": 50 << 20,
        }
    ],
}


@contextmanager
def server() -> Iterator[int]:
    """A process with a parent's door."""
    opened, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            serve_at_the_door(tell)
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(opened, 1) == b"."
        yield pid
    finally:
        os.close(opened)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def serve_at_the_door(tell: int) -> None:
    loop = Loop()

    def status(reply: Reply, words: list[str]) -> None:
        reply(json.dumps(STATUS))

    def dump(reply: Reply, words: list[str]) -> None:
        reply("worker 4712 is well\n" * 10_000)

    door = open_door(loop, os.getpid(), {"status": status, "dump": dump}, print)
    assert door is not None
    os.write(tell, b".")
    while True:
        loop.run_once()


@pytest.fixture(scope="module")
def running() -> Iterator[int]:
    with server() as pid:
        yield pid


def test_dump(running: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", "--pid", str(running)]) == 0
    assert capsys.readouterr().out == "worker 4712 is well\n" * 10_000


def test_status_for_people(running: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", f"--pid={running}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "bicorn 1.2, process 4711: serving, generation 2, up 2 h 3 min",
        "last reload: all workers are of generation 2",
        "worker  slot  generation                    state        age  connections  in flight  "
        "requests  errors     lag    memory",
        "  4712     0           2  serving, blocked 30.2 s  1 min 1 s           12          3  "
        "      41       0  1.5 ms  50.0 MiB",
    ]


def test_status_for_programs(running: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--pid", str(running)]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


def test_the_one_server_of_this_user_needs_no_name(
    running: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running in control._servers()
    # Others may run on this machine.
    monkeypatch.setattr(control, "_doors", lambda: iter([running, running]))
    assert control.main(["dump"]).startswith("worker 4712")


def test_of_several_one_has_to_be_chosen(running: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with server() as other:
        ours = {running, other}
        assert ours <= control._servers()
        doors = control._doors
        monkeypatch.setattr(control, "_doors", lambda: (pid for pid in doors() if pid in ours))
        with pytest.raises(ControlError, match=r"^2 servers run here, choose one") as e:
            control.main(["status"])
    assert f"{other} (" in str(e.value)
    assert str(e.value).isprintable()


def test_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # A door whose process is gone, or is another container's.
    monkeypatch.setattr(control, "_doors", lambda: iter([1 << 30]))
    with pytest.raises(ControlError, match="no server of yours runs here"):
        control.main(["status"])


def test_a_process_that_is_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", "--pid", str(os.getpid())]) == ControlError.exit_status
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"bicorn: no server listens to process {os.getpid()}")
    assert told.err.count("\n") == 1


def test_an_imposter_is_not_believed() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as imposter:
        imposter.bind(door_name(1))
        imposter.listen()
        with pytest.raises(ControlError, match=f"belongs to process {os.getpid()}"):
            control.main(["dump", "--pid", "1"])


def test_what_the_server_refuses(running: int) -> None:
    with pytest.raises(ControlError, match=f"^process {running}: no such command"):
        control.ask(running, "dance")


def test_a_server_that_is_stopped(running: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "TIMEOUT", 0.05)
    os.kill(running, signal.SIGSTOP)
    try:
        with pytest.raises(ControlError, match="does not answer: is it stopped"):
            control.main(["dump", "--pid", str(running)])
    finally:
        os.kill(running, signal.SIGCONT)


@pytest.mark.parametrize(
    "words",
    [
        ["dump", "--json"],
        ["dump", "app:app"],
        ["status", "--pid"],
        ["status", "--pid", "x"],
        ["status", "--pid=0"],
        ["status", "--pid=99999999999"],
    ],
)
def test_what_it_does_not_understand(words: list[str]) -> None:
    with pytest.raises(ConfigError):
        control.main(words)


@pytest.mark.parametrize("app", ["dump:app", "./dump.py"])
def test_an_application_of_that_name_can_be_served(
    app: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([app, "--check-config"]) == 0
    assert app in capsys.readouterr().out


def test_the_help_has_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"bicorn {verb}" in told for verb in VERBS)


def test_it_imports_no_server() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bicorn", "dump", "--pid", str(os.getpid())],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ControlError.exit_status
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"bicorn.supervisor", "bicorn._native", "bicorn.gateway", "asyncio"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (61, "1 min 1 s"),
        (3600, "1 h 0 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert control._span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB"), (3 << 19, "1.5 MiB")]
)
def test_sizes(count: int, text: str) -> None:
    assert control._size(count) == text
