"""What the operator reads: errors of the application once, and an access log that nothing can mix up or block."""

import fcntl
import os
import re
import signal
from contextlib import closing
from pathlib import Path

import pytest

from tests.process.conftest import APPS, Fifo, Start
from tests.support.server import Server, serving
from tests.support.wire import Wire, request

COMBINED = re.compile(r'127\.0\.0\.1 - - \[[^]]+\] "GET /\S* HTTP/1\.1" 200 \d+ "-" "-" \d+\n')


def test_an_exception_is_told_once_with_its_request(interface: str) -> None:
    with serving(f"{interface}:app", cwd=APPS) as server, Wire(server.address) as wire:
        assert wire.send(request("/raise?a=1")).answer().status == 500
        server.wait_for_log("ValueError: the application's own")
    assert server.log.count("ValueError: the application's own") == 1
    assert re.search(
        r"ERROR +GET /raise\?a=1( HTTP/1.1)? failed \(request [\w.-]+\)$", server.log, re.M
    )
    assert server.log.count("Traceback (most recent call last):") == 1
    frames = re.findall(r'File "([^"]+)"', server.log)
    assert frames
    assert {Path(frame).parent for frame in frames} == {APPS}


def test_each_request_has_an_identity_of_its_own(interface: str) -> None:
    with serving(f"{interface}:app", cwd=APPS) as server, Wire(server.address) as wire:
        for _ in range(3):
            assert wire.send(request("/raise")).answer().status == 500
        server.wait_for_log(r"(?s)(the application's own.*){3}")
    assert len(set(re.findall(r"\(request ([\w.-]+)\)", server.log))) == 3


@pytest.mark.parametrize(
    ("level", "present", "absent"),
    [
        ("critical", [], ["ERROR", "INFO"]),
        ("error", ["ERROR"], ["INFO"]),
        ("info", ["ERROR", "INFO"], ["DEBUG"]),
        ("debug", ["ERROR", "INFO", "DEBUG"], []),
    ],
)
def test_levels(interface: str, level: str, present: list[str], absent: list[str]) -> None:
    with (
        serving(f"{interface}:app", f"--log-level={level}", cwd=APPS) as server,
        Wire(server.address) as wire,
    ):
        assert wire.send(request("/raise")).answer().status == 500
    for word in present:
        assert f" {word} " in server.log
    for word in absent:
        assert f" {word} " not in server.log


def test_access_log_off(interface: str) -> None:
    with (
        serving(f"{interface}:app", "--no-access-log", cwd=APPS) as server,
        Wire(server.address) as wire,
    ):
        assert wire.send(request()).answer().status == 200
    assert server.access_log == ""


def test_access_log_to_a_file(interface: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("what was there before\n")
    arguments = (f"{interface}:app", "--workers=2", f"--access-log-file={path}")
    with serving(*arguments, cwd=APPS) as server:
        for _ in range(20):
            with Wire(server.address) as wire:
                assert wire.send(request()).answer().status == 200
    assert server.access_log == ""
    before, *lines = path.read_text().splitlines(keepends=True)
    assert before == "what was there before\n"
    assert len(lines) == 20
    assert all(COMBINED.fullmatch(line) for line in lines), lines


def test_a_worker_opens_the_access_log_again(interface: str, tmp_path: Path) -> None:
    path, rotated = tmp_path / "log", tmp_path / "log.1"
    with (
        serving(f"{interface}:app", f"--access-log-file={path}", cwd=APPS) as server,
        Wire(server.address) as wire,
    ):
        assert wire.send(request("/before")).answer().status == 200
        path.rename(rotated)
        assert wire.send(request("/between")).answer().status == 200
        reopen_log(server)
        while not path.exists():
            assert wire.send(request("/meanwhile")).answer().status == 200
        assert wire.send(request("/after")).answer().status == 200
    old, new = rotated.read_text(), path.read_text()
    assert "GET /before " in old
    assert "GET /between " in old
    assert "GET /after " in new
    assert "GET /after " not in old


def test_opening_the_log_again_disturbs_no_request(
    interface: str, start: Start, tmp_path: Path, fifo: Fifo
) -> None:
    path = tmp_path / "log"
    server = start(
        f"{interface}:app",
        "-b",
        "127.0.0.1:0",
        f"--access-log-file={path}",
        environment={"REQUEST_FIFO": fifo.path},
    )
    with Wire(server.wait_until_ready().address) as wire:
        wire.send(request("/wait"))
        server.wait_for_log("app waits")
        path.unlink()
        for _ in range(3):
            reopen_log(server)
        fifo.release()
        assert wire.answer().status == 200
    assert server.stop() == 0, server.log
    assert path.read_text().count("GET /wait ") == 1


def test_a_log_that_cannot_be_opened_again(interface: str, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    arguments = (f"{interface}:app", f"--access-log-file={folder / 'log'}")
    with serving(*arguments, cwd=APPS) as server, Wire(server.address) as wire:
        folder.rename(tmp_path / "moved")
        reopen_log(server)
        told = server.wait_for_log(r"ERROR +cannot reopen the access log (\S+): .*No such file")
        assert told[1] == str(folder / "log")
        assert wire.send(request("/still")).answer().status == 200
    assert "GET /still " in (tmp_path / "moved" / "log").read_text()


def reopen_log(server: Server) -> None:
    for worker in server.workers():
        os.kill(worker, signal.SIGUSR1)


@pytest.mark.parametrize("buffering", ["", "1"])
def test_what_the_application_prints_does_not_split_lines(
    interface: str, start: Start, buffering: str
) -> None:
    """With a pipe that is full all the time, and two workers that write to it."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    server = start(
        f"{interface}:app",
        "-b",
        "127.0.0.1:0",
        "--workers=2",
        environment={"PYTHONUNBUFFERED": buffering},
        stdout=writer,
    )
    os.close(writer)
    with os.fdopen(reader) as lines:
        server.wait_until_ready()
        total = 0
        for _ in range(4):
            with Wire(server.address) as wire:
                for _ in range(50):
                    wire.send(request("/print") * 4)
                    assert lines.readline()
                    total += 4
        server.process.terminate()
        rest = lines.readlines()
    assert server.wait() == 0
    odd = [line for line in rest if line != "printed " * 20 + "\n" and not COMBINED.fullmatch(line)]
    assert odd == []


def test_a_reader_that_leaves_stops_nothing(interface: str, start: Start) -> None:
    """As in ``bicorn app | head -1``."""
    reader, writer = os.pipe()
    server = start(f"{interface}:app", "-b", "127.0.0.1:0", stdout=writer)
    os.close(writer)
    with Wire(server.wait_until_ready().address) as wire:
        assert wire.send(request()).answer().status == 200
        with os.fdopen(reader) as lines:
            assert COMBINED.fullmatch(lines.readline())
        for _ in range(20):
            assert wire.send(request()).answer().status == 200
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log


def test_a_reader_that_stops_reading_stops_nothing(interface: str, start: Start) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    server = start(f"{interface}:app", "-b", "127.0.0.1:0", stdout=writer)
    os.close(writer)
    with closing(Wire(server.wait_until_ready().address)) as wire:
        for _ in range(100):
            wire.send(request() * 4)
            for _ in range(4):
                assert wire.answer().status == 200
        server.process.terminate()
        with os.fdopen(reader) as lines:
            assert len(lines.readlines()) == 400
    assert server.wait() == 0, server.log


def test_streams_that_are_closed_stop_nothing(interface: str, start: Start) -> None:
    """As under a supervisor that gives its children neither input nor output."""
    shell = ["sh", "-c", 'exec "$@" <&- >&-', "sh"]
    server = start(f"{interface}:app", "-b", "127.0.0.1:0", prefix=shell)
    with Wire(server.wait_until_ready().address) as wire:
        for _ in range(3):
            assert wire.send(request()).answer().status == 200
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log
