"""The command in the foreground hears how the start in the background went."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from bicorn.config import Config
from bicorn.errors import WorkerStartError
from bicorn.supervisor.daemon import Background

START = """
import os, signal, sys
from bicorn.errors import BindError
from bicorn.supervisor.daemon import in_background
from bicorn.cli import explain, OperatorError

def serves(background):
    print("pid", os.getpid(), "leader" if os.getsid(0) == os.getpid() else "follower", flush=True)
    background.note_serving()
    with open(sys.argv[2], "w") as file:
        print(os.readlink("/proc/self/fd/1"), os.readlink("/proc/self/fd/2"), file=file)
    return 0

def fails(background):
    raise BindError("no address")

def dies(background):
    os.kill(os.getpid(), signal.SIGKILL)

def breaks(background):
    raise ZeroDivisionError

def waits(background):
    print("waits", flush=True)
    with open(sys.argv[2]) as fifo:
        fifo.read()

try:
    status = in_background(globals()[sys.argv[1]])
except OperatorError as error:
    sys.stderr.write(explain(error))
    status = error.exit_status
sys.exit(status)
"""


def command(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", START, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_it_serves(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with command("serves", str(fifo)) as process:
        streams = fifo.read_text()
        out, err = process.communicate(timeout=20)
    word, number, role = out.split()
    assert (word, role) == ("pid", "follower")
    assert int(number) != process.pid
    assert (process.returncode, err) == (0, "")
    assert streams == "/dev/null /dev/null\n"


def test_it_fails() -> None:
    with command("fails") as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (4, "", "bicorn: no address\n")


def test_it_is_killed() -> None:
    with command("dies") as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == WorkerStartError.exit_status
    assert err == "bicorn: the server was killed before a worker served\n"


def test_it_has_a_bug() -> None:
    with command("breaks") as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ZeroDivisionError" in err


def test_an_interrupt_ends_what_was_started(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with command("waits", str(fifo)) as process:
        assert process.stdout
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGINT)
        # At its end, since the background has it too.
        assert process.stdout.read() == ""
        process.communicate(timeout=20)
    assert process.returncode == 130


def test_whoever_gave_the_command_may_be_gone() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    background = Background(writer)
    background.note_end(4)
    background.note_end(4)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)


@pytest.mark.parametrize(
    ("values", "is_named"),
    [({}, True), ({"access_log": False}, False), ({"access_log_file": "/var/log/access"}, False)],
)
def test_logs_that_nobody_will_read_are_named(values: dict[str, object], is_named: bool) -> None:
    said = warned(values, subprocess.PIPE)
    assert "in the background nobody reads " in said
    assert "2>>FILE" in said
    assert ("--access-log-file" in said) == is_named


def test_logs_in_files_are_read(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log:
        warned({}, log)
        log.seek(0)
        assert log.read() == ""


WARN = """
import sys
from bicorn.config import Config
from bicorn.log.line import LineLog
from bicorn.supervisor.daemon import Background
Background.warn_of_lost_logs(eval(sys.argv[1]), LineLog("info"))
"""


def warned(values: dict[str, object], stream: int | IO[str]) -> str:
    """What is said when both streams lead there."""
    command = [sys.executable, "-c", WARN, repr(Config(**values))]
    done = subprocess.run(command, stdout=stream, stderr=stream, text=True, timeout=20, check=True)
    return done.stderr or ""
