"""`load`: precedence, spellings, origins, and an error of one line for everything else."""

import os
import subprocess
import sys

import pytest

from bicorn.config import Config, load
from bicorn.errors import ConfigError


def from_flags(*words: str) -> Config:
    return load(["shop:app", *words], {})


def from_env(**variables: str) -> Config:
    return load(["shop:app"], {f"BICORN_{name}": text for name, text in variables.items()})


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    config = load(
        ["--workers", "4", "shop:app"],
        {
            "BICORN_WORKERS": "3",
            "BICORN_LOOP": "asyncio",
            "BICORN_APP": "other:app",
            "PATH": "/bin",
        },
    )
    assert (config.app, config.workers, config.loop) == ("shop:app", 4, "asyncio")
    assert config.origin("app") == "argument"
    assert config.origin("workers") == "flag --workers"
    assert config.origin("loop") == "env BICORN_LOOP"
    assert config.origin("backlog") == "default"


@pytest.mark.parametrize(
    "words", [["--workers", "4"], ["--workers=4"], ["-w", "4"], ["-w4"], ["-w", "9", "-w", "4"]]
)
def test_spellings_of_a_flag(words: list[str]) -> None:
    assert from_flags(*words).workers == 4


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--limit-request-fields", "7"], "limit_header_fields", 7),
        (["--keep-alive", "2"], "keep_alive_timeout", 2.0),
        (["--timeout-keep-alive", "2"], "keep_alive_timeout", 2.0),
        (["--timeout-graceful-shutdown", "1m"], "graceful_timeout", 60.0),
        (["--access-logfile", "-"], "access_log_file", "-"),
        (["--root_path", "/x"], "root_path", "/x"),
        (["--uds", "/x"], "bind", ("unix:/x",)),
        (["--fd", "3"], "bind", ("fd://3",)),
        (["--host", "::", "--port", "80"], "bind", ("[::]:80",)),
        (["-b:80", "--bind", "unix:/x"], "bind", ("0.0.0.0:80", "unix:/x")),
        (["--no-access-log"], "access_log", False),
        (["--no-access-log", "--access-log"], "access_log", True),
        (["--factory"], "factory", True),
    ],
)
def test_familiar_flags(words: list[str], name: str, value: object) -> None:
    assert getattr(from_flags(*words), name) == value


def test_a_bind_flag_replaces_what_the_environment_says() -> None:
    environ = {"BICORN_BIND": "9000,unix:/x"}
    assert load(["a"], environ).bind == ("127.0.0.1:9000", "unix:/x")
    assert load(["a", "-b", "9001"], environ).bind == ("127.0.0.1:9001",)
    composed = load(["a", "--port", "9001"], environ)
    assert composed.bind == ("127.0.0.1:9001",)
    assert composed.origin("bind") == "flag --port"


def test_after_two_dashes_everything_is_the_application() -> None:
    assert load(["--", "--app"], {}).app == "--app"


def test_an_empty_variable_counts_as_not_set() -> None:
    config = from_env(WORKERS="")
    assert (config.workers, config.origin("workers")) == (1, "default")


def test_variables_of_a_kubernetes_service_are_passed_over() -> None:
    links = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT_HTTP": "80",
        "PORT": "tcp://10.0.0.1:80",
        "PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert from_env(**links) == from_flags()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--wrokers", "4"], "unknown option --wrokers: did you mean --workers?"),
        (["--zzzzzz"], "unknown option --zzzzzz: `bicorn --help` lists what there is"),
        (["-x"], "unknown option -x: `bicorn --help` lists what there is"),
        (["--workers", "0"], "--workers 0 is out of range: use 1 to 512"),
        (["-w"], "-w needs a value: 1 to 512"),
        (["-w", "--backlog", "2"], "-w needs a value: 1 to 512"),
        (["--workers="], "--workers  is not a whole number: use 1 to 512"),
        (
            ["--header-timeout", "5 parsecs"],
            "--header-timeout 5 parsecs is not a duration: "
            "use seconds or a unit, as in 30, 30s, 500ms, 2m or 1h",
        ),
        (
            ["--access-log=off"],
            "--access-log takes no value: use --access-log or --no-access-log",
        ),
        (
            ["--loop", "uvlop"],
            "--loop uvlop is not one of auto, asyncio or uvloop: did you mean uvloop?",
        ),
        (["more:app"], "unexpected argument 'more:app': 'shop:app' is already the application"),
        (["--host", "x", "-b", "1"], "--host and -b exclude each other: use --bind alone"),
        (
            ["--host", "x", "--port", "http"],
            "--host x --port http has no valid port 'http': use a number from 0 to 65535",
        ),
    ],
)
def test_a_wrong_flag_is_one_line_with_a_remedy(words: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_flags(*words)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("WORKER", "2", "unknown environment variable BICORN_WORKER: did you mean BICORN_WORKERS?"),
        (
            "ZZZZZZ",
            "2",
            "unknown environment variable BICORN_ZZZZZZ: unset it; `bicorn --help` lists what there is",
        ),
        ("WORKERS", "x", "BICORN_WORKERS=x is not a whole number: use 1 to 512"),
        (
            "ACCESS_LOG",
            "maybe",
            "BICORN_ACCESS_LOG=maybe is neither on nor off: use on, off, true, false, 1 or 0",
        ),
    ],
)
def test_a_wrong_variable_is_one_line_with_a_remedy(name: str, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_env(**{name: text})
    assert str(caught.value) == line


def test_the_application_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match="no application given: use `bicorn module:attribute`"):
        load([], {})


def test_the_application_is_read_like_any_other_text() -> None:
    with pytest.raises(ConfigError, match="'shop\\\\n' contains a control character"):
        load(["shop\n"], {})


def test_loading_stays_light() -> None:
    """The parent keeps what it imports for its whole life, and every start waits for it."""
    script = (
        "import sys; before = set(sys.modules)\n"
        "from bicorn.config import load\n"
        "load(['a:b', '-w', '2'], {})\n"
        "print(*set(sys.modules) - before)"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env=os.environ | path,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    others = {name for name in done.stdout.split() if not name.startswith("bicorn")}
    assert others <= {"__future__"}
