"""Which of the sockets that a service manager hands over are listened on."""

import os
import socket
from collections.abc import Iterator

import pytest

from bicorn.config import Config
from bicorn.log.line import LineLog
from bicorn.supervisor import activation

LOG = LineLog("info")
BOUND = Config({"bind": "flag --bind"}, bind=("127.0.0.1:80",))


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, dict[str, str]]]:
    """The number of the first of two sockets, and the environment that goes with them.

    They begin at 3 in a program that has just been started, which these tests are not.
    """
    numbers: list[int] = []
    with socket.socket() as sock:
        first = sock.fileno()
        while not _are_free(first + 1, 2):
            first += 1
        numbers = [os.dup2(sock.fileno(), first + index) for index in (1, 2)]
        monkeypatch.setattr(activation, "_FIRST", numbers[0])
        variables = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:api"}
        yield numbers[0], {"HOME": "/", **variables}
        for number in filter(is_open, numbers):
            os.close(number)


def _are_free(first: int, count: int) -> bool:
    return not any(is_open(number) for number in range(first, first + count))


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_they_are_what_is_listened_on(
    handed: tuple[int, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    first, environ = handed
    found = activation.addresses(Config(), environ, LOG)
    assert found == (f"fd://{first}", f"fd://{first + 1}")
    assert environ == {"HOME": "/"}
    assert not os.get_inheritable(first)
    assert f"fd://{first} (web), fd://{first + 1} (api)" in capsys.readouterr().err


def test_names_may_be_missing(
    handed: tuple[int, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    first, environ = handed
    del environ["LISTEN_FDNAMES"]
    activation.addresses(Config(), environ, LOG)
    assert f"fd://{first} (unknown)" in capsys.readouterr().err


def test_bind_wins_and_that_is_said(
    handed: tuple[int, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    first, environ = handed
    assert activation.addresses(BOUND, environ, LOG) == ("127.0.0.1:80",)
    assert not is_open(first)
    assert not is_open(first + 1)
    assert environ == {"HOME": "/"}
    said = capsys.readouterr().err
    assert " WARNING " in said
    assert "--bind wins: listening on 127.0.0.1:80, and on nothing else" in said


def test_bind_may_choose_among_them(handed: tuple[int, dict[str, str]]) -> None:
    first, environ = handed
    chosen = (f"fd://{first + 1}",)
    config = Config({"bind": "flag --bind"}, bind=chosen)
    assert activation.addresses(config, environ, LOG) == chosen
    assert not is_open(first)
    assert is_open(first + 1)


def test_those_of_another_process_are_let_be(
    handed: tuple[int, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    first, environ = handed
    environ["LISTEN_PID"] = "1"
    assert activation.addresses(Config(), environ, LOG) == Config().bind
    assert is_open(first)
    assert environ == {"HOME": "/"}
    assert "meant for process 1" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["", "0", "-1", "many", "99999"])
def test_a_count_that_is_none(
    handed: tuple[int, dict[str, str]], capsys: pytest.CaptureFixture[str], count: str
) -> None:
    environ = {**handed[1], "LISTEN_FDS": count}
    assert activation.addresses(Config(), environ, LOG) == Config().bind
    assert capsys.readouterr().err == ""
