"""The server among what else runs on its machine: service manager, users, pid files, the background, hooks."""

import contextlib
import json
import os
import pwd
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.conftest import APPS, Fifo, Start
from tests.support.server import PATIENCE, Server
from tests.support.wire import Wire, request

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="SKIPPED WITHOUT ROOT: only root can become somebody else"
)


@pytest.fixture(params=["asgi", "wsgi"])
def app(request: pytest.FixtureRequest) -> str:
    return f"host_app:{request.param}"


def ask(address: tuple[str, int], path: str = "/") -> Any:
    with Wire(address) as wire:
        return json.loads(wire.send(request(path)).answer().body)


# The service manager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(PATIENCE)
        yield sock


def test_the_service_manager_hears_of_start_and_end(
    start: Start, manager: socket.socket, app: str
) -> None:
    variables = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "60000000"}
    server = start(app, "-b", "127.0.0.1:0", environment=variables).wait_until_ready()
    assert "STATUS=1 worker serves host_app:" in wait_to_hear(manager, "READY=1")
    # What the application runs is not the service.
    assert not variables.keys() & ask(server.address)["environment"].keys()
    server.signal(signal.SIGHUP)
    reloading = wait_to_hear(manager, "RELOADING=1")
    assert re.search(r"^MONOTONIC_USEC=\d+$", reloading, re.MULTILINE)
    assert "last reload: done" in wait_to_hear(manager, "READY=1")
    server.signal(signal.SIGTERM)
    wait_to_hear(manager, "STOPPING=1")
    assert server.wait() == 0


def test_the_watchdog_is_answered_while_workers_make_progress(
    start: Start, manager: socket.socket
) -> None:
    variables = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    arguments = ["host_app:wsgi", "-b", "127.0.0.1:0", "--hang-timeout", "0"]
    server = start(*arguments, environment=variables).wait_until_ready()
    for _ in range(3):
        wait_to_hear(manager, "WATCHDOG=1")
    assert server.stop() == 0


def wait_to_hear(manager: socket.socket, word: str) -> str:
    """The next message with this line in it."""
    while word not in (heard := manager.recv(4096).decode()).split("\n"):
        pass
    return heard


def handing_over(*sockets: socket.socket) -> list[str]:
    """Runs what follows as a service manager does, with the sockets from descriptor 3 on."""
    moves = "; ".join(
        # Not straight to their places: one may stand in the place of another.
        [f"exec {index + 3}<&{sock.fileno()}" for index, sock in enumerate(sockets)]
    )
    variables = f"LISTEN_FDS={len(sockets)} LISTEN_FDNAMES=web LISTEN_PID=$$"
    return ["bash", "-c", f'{moves}; export {variables}; exec "$@"', "bash"]


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    """A socket on a descriptor that is out of the way of those which are handed over."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        number = os.dup2(sock.fileno(), 100)
        with socket.socket(fileno=number) as high:
            yield high


def activated(start: Start, app: str, bound: socket.socket, *arguments: str) -> Server:
    return start(app, *arguments, prefix=handing_over(bound), pass_fds=(bound.fileno(),))


def test_sockets_that_are_handed_over_are_served(
    start: Start, app: str, bound: socket.socket
) -> None:
    server = activated(start, app, bound)
    server.wait_until_ready()
    assert server.address == bound.getsockname()
    assert "fd://3 (web)" in server.log
    environment = ask(server.address)["environment"]
    assert [name for name in environment if name.startswith("LISTEN_")] == []
    assert server.stop() == 0


def test_bind_wins_over_what_is_handed_over(start: Start, app: str, bound: socket.socket) -> None:
    server = activated(start, app, bound, "-b", "127.0.0.1:0")
    server.wait_until_ready()
    assert server.address != bound.getsockname()
    assert "--bind wins" in server.log
    assert server.stop() == 0


def test_systemds_own_activation(
    start: Start, app: str, port: int, require_tool: Callable[[str], str]
) -> None:
    tool = [require_tool("systemd-socket-activate"), "-l", f"127.0.0.1:{port}", "--fdname=web"]
    passed = [f"-E{name}" for name in ("PYTHONPATH", "PYTHONUNBUFFERED") if name in os.environ]
    server = start(app, prefix=[*tool, *passed])
    server.wait_for_log("Listening on")
    # The connection is what starts the server.
    told = ask(("127.0.0.1", port))
    assert told["parent"] == server.pid
    assert "fd://3 (web)" in server.log
    assert server.stop() == 0


# Pid files


def test_the_pid_file_is_there_while_the_server_is(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    arguments = ["host_app:wsgi", "-b", "127.0.0.1:0", "--pid", str(path)]
    server = start(*arguments).wait_until_ready()
    assert path.read_text() == f"{server.pid}\n"
    # That a worker ends is nothing to the file.
    os.kill(server.workers()[0], signal.SIGTERM)
    server.wait_for_log(r"worker \d+ is ready")
    assert path.read_text() == f"{server.pid}\n"
    second = start(*arguments)
    assert second.wait() == 8
    assert f"belongs to process {server.pid}, a Bicorn that is running" in second.log
    assert server.stop() == 0
    assert not path.exists()


def test_a_pid_file_without_its_server_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    arguments = ["host_app:wsgi", "-b", "127.0.0.1:0", "--pid", str(path)]
    killed = start(*arguments).wait_until_ready()
    killed.signal(signal.SIGKILL)
    killed.wait()
    assert path.exists()
    server = start(*arguments).wait_until_ready()
    assert path.read_text() == f"{server.pid}\n"
    assert server.stop() == 0


# Upgrades


def test_an_upgrade_takes_the_files_and_gives_them_back(
    start: Start, tmp_path: Path, manager: socket.socket
) -> None:
    path, pid = tmp_path / "socket", tmp_path / "pid"
    variables = {"NOTIFY_SOCKET": manager.getsockname()}
    arguments = ["host_app:wsgi", "-b", "127.0.0.1:0", "-b", f"unix:{path}", "--pid", str(pid)]
    server = start(*arguments, environment=variables).wait_until_ready()
    for _ in range(2):
        server.signal(signal.SIGUSR2)
        new = int(wait_for_line(manager, "MAINPID=").partition("=")[2])
        assert (int(pid.read_text()), new) == (new, new)
        assert (tmp_path / "pid.oldbin").read_text() == f"{server.pid}\n"
        # Back: the old parent has its files again.
        os.kill(new, signal.SIGTERM)
        assert wait_for_line(manager, "MAINPID=") == f"MAINPID={server.pid}"
        assert path.is_socket()
        assert os.listdir(tmp_path).count("pid.oldbin") == 0
        assert pid.read_text() == f"{server.pid}\n"
    server.signal(signal.SIGUSR2)
    new = int(wait_for_line(manager, "MAINPID=").partition("=")[2])
    pidfd = os.pidfd_open(new)
    try:
        # Forth: the new one keeps them, and removes them at its own end.
        server.signal(signal.SIGTERM)
        server.process.wait(PATIENCE)
        assert path.is_socket()
        assert pid.read_text() == f"{new}\n"
        os.kill(new, signal.SIGTERM)
        assert has_ended(pidfd)
    finally:
        os.close(pidfd)
    assert server.wait() == 0
    assert sorted(os.listdir(tmp_path)) == ["notify"]


def wait_for_line(manager: socket.socket, start: str) -> str:
    while True:
        for line in manager.recv(4096).decode().split("\n"):
            if line.startswith(start):
                return line


# Users


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter, other than those of the tests; root's, as /run is."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def for_everybody(open_directory: Path) -> list[str]:
    """Runs what follows where every user can read this Python, even if it is installed in root's home directory."""
    closed = closed_directory(Path(sys.base_prefix))
    if closed is None:
        return []
    script = (
        'mount --bind "$1" "$2" && mount -t tmpfs -o mode=755 none "$3" && mkdir -p "$1" && '
        'mount --move "$2" "$1" && shift 3 && exec "$@"'
    )
    place = open_directory / "python"
    place.mkdir()
    prefix = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        sys.base_prefix,
        str(place),
        str(closed),
    ]
    if subprocess.run([*prefix, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip(
            f"SKIPPED: only root can enter {closed}, and no file system can be mounted over it"
        )
    return prefix


def closed_directory(path: Path) -> Path | None:
    """The first directory on the way to the path that not every user may enter."""
    ways = [*reversed(path.parents), path]
    return next((way for way in ways if not way.stat().st_mode & 0o001), None)


@needs_root
def test_another_user_serves(
    start: Start, app: str, open_directory: Path, for_everybody: list[str]
) -> None:
    nobody = pwd.getpwnam("nobody")
    path, log, pid = (open_directory / name for name in ("socket", "access.log", "pid"))
    files = ["-b", f"unix:{path}", "--access-log-file", str(log), "--pid", str(pid)]
    who = ["--user", "nobody", "--group", "daemon", "--umask", "027", "--unix-mode", "660"]
    server = start(app, "-b", "127.0.0.1:0", *files, *who, prefix=for_everybody)
    server.wait_until_ready()
    told = ask(server.address)
    assert (told["uid"], told["gid"]) == ([nobody.pw_uid] * 3, [1, 1, 1])
    assert 0 not in told["groups"]
    assert told["umask"] == 0o027
    assert told["environment"]["HOME"] == nobody.pw_dir
    assert os.stat(f"/proc/{server.pid}").st_uid == nobody.pw_uid
    assert (path.stat().st_uid, path.stat().st_gid) == (nobody.pw_uid, 1)
    assert path.stat().st_mode & 0o777 == 0o660
    assert log.stat().st_uid == nobody.pw_uid
    # What a privileged process may come to kill is not for the server to write.
    assert (pid.stat().st_uid, pid.stat().st_mode & 0o777) == (0, 0o644)
    assert server.stop() == 0
    assert '"GET / HTTP/1.1" 200' in log.read_text()
    assert "cannot remove the pid file" in server.log


@needs_root
def test_a_low_port_is_bound_before(start: Start, app: str, for_everybody: list[str]) -> None:
    port = next(number for number in range(1023, 500, -1) if is_free(number))
    arguments = [app, "-b", f"127.0.0.1:{port}", "--user", "nobody"]
    server = start(*arguments, prefix=for_everybody).wait_until_ready()
    assert ask(("127.0.0.1", port))["uid"][0] != 0
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_for_log(r"worker \d+ is ready")
    assert ask(("127.0.0.1", port))["uid"][0] != 0
    assert server.stop() == 0


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_a_user_who_is_nobody_here(start: Start, app: str) -> None:
    server = start(app, "-b", "127.0.0.1:0", "--user", "nobodyy")
    assert server.wait() == 2
    assert "--user nobodyy is no user of this machine: did you mean nobody?" in server.log


@needs_root
def test_a_user_who_cannot_read_this_python(start: Start, app: str) -> None:
    if closed_directory(Path(sys.base_prefix)) is None:
        pytest.skip("every user can read this Python")
    server = start(app, "-b", "127.0.0.1:0", "--user", "nobody")
    assert server.wait() == 8
    assert "user nobody cannot read " in server.log


@needs_root
def test_who_is_not_root_becomes_nobody(start: Start, app: str, for_everybody: list[str]) -> None:
    prefix = [*for_everybody, "setpriv", "--reuid", "nobody", "--clear-groups"]
    server = start(app, "-b", "127.0.0.1:0", "--user", "daemon", prefix=prefix)
    assert server.wait() == 8
    assert "only root can: start as root, or leave --user and --group out" in server.log


# Descriptors


def test_a_program_that_the_application_runs_gets_none_of_ours(
    start: Start, app: str, tmp_path: Path
) -> None:
    files = ["-b", f"unix:{tmp_path}/socket", "--access-log-file", str(tmp_path / "access.log")]
    server = start(
        app, "-b", "127.0.0.1:0", *files, "--pid", str(tmp_path / "pid"), "--workers", "2"
    ).wait_until_ready()
    standard = [os.readlink(f"/proc/{server.pid}/fd/{number}") for number in (0, 2)]
    found = ask(server.address, "/descriptors")
    # Its standard output is the pipe to the application that listens to it.
    pipes = [name for name in found if name not in standard]
    assert len(pipes) == 1
    assert pipes[0].startswith("pipe:")
    assert server.stop() == 0


# The background


@pytest.fixture
def background() -> Iterator[Callable[..., tuple[Server, int]]]:
    """Gives the command, and returns it when it has ended, with the process in the background."""
    started: list[tuple[int, int]] = []

    def begin(*arguments: str, pid: Path, **popen: Any) -> tuple[Server, int]:
        command = Server(["-D", "--pid", str(pid), *arguments], APPS, {}, **popen)
        if command.process.wait(PATIENCE):
            command.wait()
            pytest.fail(command.log)
        number = int(pid.read_text())
        started.append((number, os.pidfd_open(number)))
        is_let_go = command.output_ends()
        if not is_let_go:
            # Or nobody could wait for the end of its output.
            os.kill(number, signal.SIGKILL)
        command.wait()
        assert is_let_go, "the background has kept the streams of the command"
        return command, number

    yield begin
    for _, descriptor in started:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        has_ended(descriptor)
        os.close(descriptor)


def has_ended(pidfd: int) -> bool:
    """Waits for the end of a process that is no child of this one."""
    return bool(select.select([pidfd], [], [], PATIENCE)[0])


def end(number: int) -> None:
    pidfd = os.pidfd_open(number)
    os.kill(number, signal.SIGTERM)
    try:
        assert has_ended(pidfd)
    finally:
        os.close(pidfd)


def test_the_command_ends_when_the_server_serves(
    background: Callable[..., tuple[Server, int]], app: str, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    # That the command's output has an end shows that no process keeps it.
    command, number = background(app, "-b", "127.0.0.1:0", "-w", "2", pid=pid)
    assert number != command.pid
    assert "in the background nobody reads the access log" in command.log
    told = ask(command.address)
    assert told["parent"] == number
    assert told["streams"] == ["/dev/null"] * 3
    assert os.getsid(number) not in (os.getsid(0), number)
    end(number)
    assert not pid.exists()


def test_logs_in_files_go_on(
    background: Callable[..., tuple[Server, int]], app: str, tmp_path: Path
) -> None:
    access, errors = tmp_path / "access.log", tmp_path / "error.log"
    with errors.open("w") as stream, socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        arguments = ["-b", f"fd://{sock.fileno()}", "--access-log-file", str(access)]
        popen = {"stderr": stream, "pass_fds": (sock.fileno(),)}
        _, number = background(app, *arguments, pid=tmp_path / "pid", **popen)
        told = ask(sock.getsockname())
    assert told["streams"][2] == str(errors)
    end(number)
    assert '"GET / HTTP/1.1" 200' in access.read_text()
    assert "nobody reads" not in errors.read_text()
    assert re.search(r"SIGTERM: finishing what is in flight", errors.read_text())


def test_a_start_that_fails_is_the_commands_error(start: Start, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("print('as it starts')\n1 / 0\n")
    server = start("broken:app", "-D", "-b", "127.0.0.1:0", cwd=tmp_path)
    assert server.wait() == 3
    assert server.access_log == "as it starts\n"
    assert "ZeroDivisionError: division by zero" in server.log
    assert server.log.splitlines()[-1].startswith("bicorn: importing 'broken' raised ZeroDivision")


def test_an_address_that_cannot_be_had_is_the_commands_error(start: Start, app: str) -> None:
    server = start(app, "-D", "-b", "192.0.2.1:8000")
    assert server.wait() == 4
    assert "bicorn: cannot listen on 192.0.2.1:8000" in server.log


def test_an_interrupted_command_ends_what_it_started(start: Start, fifo: Fifo) -> None:
    server = start("asgi:app", "-D", "-b", "127.0.0.1:0", environment={"LOAD_FIFO": fifo.path})
    with fifo.held():
        server.signal(signal.SIGINT)
        # The output ends when the last process in the background has.
        assert server.wait() == 130


# Titles


def test_titles_show_role_and_state(start: Start, app: str) -> None:
    pytest.importorskip("setproctitle", reason="setproctitle is not installed")
    server = start(app, "-b", "127.0.0.1:0", "-n", "shop").wait_until_ready()
    (worker,) = server.workers()
    assert title_of(server.pid).startswith(f"shop: parent {app} [1 worker, ")
    assert re.fullmatch(rf"shop: worker 1 gen \d+ {app} \[serving\]", title_of(worker))
    assert server.stop() == 0


def test_titles_can_be_left_alone(start: Start, app: str) -> None:
    server = start(app, "-b", "127.0.0.1:0", "--process-title", "").wait_until_ready()
    assert "-m bicorn" in title_of(server.pid)
    assert server.stop() == 0


def title_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()


# Hooks


def test_hooks_are_called_in_the_parent_and_in_the_worker(
    start: Start, app: str, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    server = start(
        app, "-b", "127.0.0.1:0", "--hooks", "host_hooks:Tell", environment={"TOLD": str(told)}
    ).wait_until_ready()
    # The hook that ends with SystemExit has not ended the parent.
    assert ask(server.address)["parent"] == server.pid
    assert server.stop() == 0
    assert told.read_text().splitlines() == [
        "on_starting parent=True workers=0",
        "pre_fork parent=True pid=0 slot=0",
        "post_fork parent=False own=True",
        "worker_ready parent=True slot=0 cause=''",
        "when_ready parent=True workers=1",
        "worker_exit parent=True cause='exited with status 0: the server stops'",
        "on_exit parent=True workers=0",
    ]
    assert "the hook worker_ready raised, and is passed over:\nTraceback" in server.log
    assert "SystemExit: the operator's own" in server.log


def test_hooks_that_cannot_be_loaded(start: Start, app: str) -> None:
    server = start(app, "-b", "127.0.0.1:0", "--hooks", "host_hooks:Tel")
    assert server.wait() == 3
    assert "the module has no Tel: did you mean Tell?" in server.log


def test_a_program_without_standard_streams_goes_to_the_background(
    tmp_path: Path, app: str
) -> None:
    pid = tmp_path / "pid"
    closing = ["bash", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "bash"]
    command = [sys.executable, "-m", "bicorn", app, "-D", "-b", "127.0.0.1:0", "--pid", str(pid)]
    done = subprocess.run([*closing, *command], cwd=APPS, timeout=PATIENCE, check=False)
    assert done.returncode == 0
    end(int(pid.read_text()))
