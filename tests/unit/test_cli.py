"""The command: what it prints, where, and with which exit status. Real processes where it counts."""

import os
import subprocess
import sys
import time

import pytest

from bicorn import cli
from bicorn.cli import main
from bicorn.config import Config


def bicorn(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("BICORN_")}
    environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.run(
        [sys.executable, "-m", "bicorn", *words],
        env=environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("BICORN_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shop:app", flag]) == 0
    assert capsys.readouterr().out.startswith("usage: bicorn [options] APP\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("bicorn ")


def test_check_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-config", "shop:app", "-w", "3"]) == 0
    assert "workers " in capsys.readouterr().out


def test_an_unknown_option_in_a_process() -> None:
    done = bicorn("shop:app", "--wrokers", "3")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "bicorn: unknown option --wrokers: did you mean --workers?\n"


def test_check_config_reports_what_is_wrong() -> None:
    done = bicorn("--check-config", "shop:app", BICORN_WORKERS="none")
    assert done.returncode == 2
    assert done.stderr == "bicorn: BICORN_WORKERS=none is not a whole number: use 1 to 512\n"


def test_nothing_to_serve() -> None:
    done = bicorn()
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_seen_enough() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bicorn", "--help"],
            env=environ,
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_argument_that_is_no_text() -> None:
    done = bicorn("shop:app", "--root-path", "/\udcff")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_after_two_dashes_there_are_no_flags() -> None:
    done = bicorn("--check-config", "--", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("app ")


def test_help_needs_nothing_that_is_slow_to_import() -> None:
    """What --help takes is what each start takes before the supervisor: it is kept to a few files."""
    begin = time.process_time()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bicorn", "--help"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.process_time() - begin < 1
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    slow = {
        "argparse",
        "asyncio",
        "dataclasses",
        "difflib",
        "importlib.metadata",
        "inspect",
        "json",
        "logging",
    }
    # A virtual environment's .pth files may import typing before the first line of ours.
    assert not imported & (slow | {"bicorn.supervisor", "bicorn._native", "bicorn.gateway"})


def test_an_interrupt_before_serving_ends_silently(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(words: list[str]) -> Config:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_load", interrupted)
    assert main(["app:app"]) == 130
    assert capsys.readouterr() == ("", "")


def test_an_error_is_an_exit_status_also_without_standard_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["--no-such-option"]) == 2
