"""Which standard streams a server in the background keeps."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bicorn.log.streams import is_kept

DETACH = """
import os, sys
from bicorn.log.streams import detach
print("before")
detach()
detach()
print("after", flush=True)
os.write(2, os.readlink("/proc/self/fd/0").encode())
"""


def test_a_file_is_kept_and_a_pipe_is_not(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with (tmp_path / "log").open("w") as file:
        assert is_kept(file.fileno())
    assert not is_kept(writer)
    os.close(reader)
    os.close(writer)
    assert not is_kept(writer)


def test_the_journal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert not is_kept(sock.fileno())
        found = os.fstat(sock.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert is_kept(sock.fileno())


def test_the_others_lead_nowhere(tmp_path: Path) -> None:
    with (tmp_path / "err").open("w") as err:
        done = subprocess.run(
            [sys.executable, "-c", DETACH],
            check=False,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            timeout=20,
        )
    assert done.returncode == 0
    assert done.stdout == "before\n"
    assert (tmp_path / "err").read_text() == "/dev/null"
