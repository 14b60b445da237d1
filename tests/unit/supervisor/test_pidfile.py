"""A pid file belongs to one living server, and to nobody after it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bicorn.errors import HostError
from bicorn.log.line import LineLog
from bicorn.supervisor.pidfile import PidFile

LOG = LineLog("info")

OWNER = """
import sys
from bicorn.log.line import LineLog
from bicorn.supervisor.pidfile import PidFile
file = PidFile(sys.argv[1])
print("written", flush=True)
for line in sys.stdin:
    if line == "set aside\\n":
        file.set_aside()
    elif line == "restore\\n":
        file.restore(LineLog("info"))
    print("done", flush=True)
file.remove(LineLog("info"))
"""


class Owner:
    """Another process that has a pid file."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.pid = process.pid

    def does(self, what: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def ends(self) -> None:
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0


@contextmanager
def owner_of(path: Path) -> Iterator[Owner]:
    command = [sys.executable, "-c", OWNER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "written\n"
            yield Owner(process)
        finally:
            process.kill()


def test_it_is_written_whole_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["pid"]
    file.remove(LOG)
    assert not path.exists()
    file.remove(LOG)


def test_that_of_a_living_server_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with owner_of(path) as owner:
        with pytest.raises(HostError, match=rf"process {owner.pid}, a Bicorn that is running"):
            PidFile(str(path))
        assert path.read_text() == f"{owner.pid}\n"


def test_that_of_a_killed_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with owner_of(path) as owner:
        owner.process.kill()
        owner.process.wait()
        assert path.exists()
        PidFile(str(path)).remove(LOG)
    assert not path.exists()


def test_the_number_of_a_living_process_is_not_enough(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")
    file = PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    file.remove(LOG)


@pytest.mark.parametrize("content", ["root:x:0:0\n", "1" * 40])
def test_another_file_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "precious"
    path.write_text(content)
    with pytest.raises(HostError, match="what is there is no pid file"):
        PidFile(str(path))
    assert path.read_text() == content


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot write the pid file .*: No such file"):
        PidFile(str(tmp_path / "no" / "pid"))


def test_that_of_somebody_else_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    path.unlink()
    path.write_text("1\n")
    file.remove(LOG)
    assert path.read_text() == "1\n"


def test_a_child_neither_holds_nor_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    child = os.fork()
    if child == 0:
        file.remove(LOG)
        file.disown()
        os._exit(0)
    os.waitpid(child, 0)
    assert path.exists()
    file.remove(LOG)
    assert not path.exists()


def test_an_upgrade_sets_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with owner_of(path) as old:
        old.does("set aside")
        assert (tmp_path / "pid.oldbin").read_text() == f"{old.pid}\n"
        file = PidFile(str(path))
        old.ends()
    assert not (tmp_path / "pid.oldbin").exists()
    assert path.read_text() == f"{os.getpid()}\n"
    file.remove(LOG)


def test_an_upgrade_that_fails_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with owner_of(path) as old:
        old.does("set aside")
        with owner_of(path) as new:
            # As long as the new one lives, the file is its own.
            old.does("restore")
            assert path.read_text() == f"{new.pid}\n"
        old.does("restore")
        assert path.read_text() == f"{old.pid}\n"
        old.ends()
    assert os.listdir(tmp_path) == []
