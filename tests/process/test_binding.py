"""An address is had at once or refused with one clear line, and accepts connections only when it is served."""

import os
import re
import socket
from pathlib import Path

import pytest

from tests.process.conftest import APPS, Fifo, Start, refuses
from tests.support.server import Server, serving
from tests.support.wire import PATIENCE, Answer, Wire, request

CAP_DAC_OVERRIDE = "-dac_override"
CAP_NET_BIND_SERVICE = "-net_bind_service"


def ask(path: Path) -> Answer:
    """Asks over a Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        return Wire.over(sock).send(request()).answer()


def refusal(server: Server) -> str:
    """The one line with which a server that could not bind ends."""
    assert server.wait() == 4, server.log
    lines = [line for line in server.log.splitlines(keepends=True) if " INFO " not in line]
    assert len(lines) == 1, server.log
    assert lines[0].startswith("bicorn: cannot listen on "), server.log
    return lines[0]


def test_a_port_that_accepts_is_a_port_that_serves(
    interface: str, start: Start, fifo: Fifo, port: int
) -> None:
    server = start(
        f"{interface}:app", "-b", f"127.0.0.1:{port}", environment={"LOAD_FIFO": fifo.path}
    )
    with fifo.held():
        assert refuses(port)
    server.wait_until_ready()
    with Wire(server.address) as wire:
        assert wire.send(request()).answer().status == 200


def test_a_port_that_is_served_is_refused_with_the_name_of_its_holder(start: Start) -> None:
    with serving("asgi:app", cwd=APPS) as first:
        host, port = first.address
        said = refusal(start("asgi:app", "-b", f"{host}:{port}"))
        assert re.search(rf"{port}: .*\(process ({first.pid}|{first.workers()[0]})\) has it", said)


def test_of_two_servers_that_start_at_once_one_gets_the_port(
    start: Start, tmp_path: Path, port: int
) -> None:
    # Two sockets may be bound to one port while neither listens.
    doors = Fifo(tmp_path / "first"), Fifo(tmp_path / "second")
    first, second = (
        start("asgi:app", "-b", f"127.0.0.1:{port}", environment={"LOAD_FIFO": door.path})
        for door in doors
    )
    with doors[0].held(), doors[1].held():
        pass
    for server in (first, second):
        server.wait_for_log(r"try +curl|cannot listen")
    loser, winner = sorted((first, second), key=lambda server: "try " in server.log)
    said = refusal(loser)
    assert re.search(rf"\(process ({winner.pid}|{winner.workers()[0]})\) has it", said)
    with Wire(("127.0.0.1", port)) as wire:
        assert wire.send(request()).answer().status == 200


def without(capability: str) -> list[str]:
    """Runs what follows without a capability, where it has it at all."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--inh-caps", capability, "--bounding-set", capability]


def test_a_port_that_needs_a_privilege(start: Start) -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest < 2:
        pytest.skip("this machine lets everybody have every port")
    said = refusal(start("asgi:app", "-b", "127.0.0.1:1", prefix=without(CAP_NET_BIND_SERVICE)))
    assert "CAP_NET_BIND_SERVICE" in said


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("no.such.host.invalid:8000", "no.such.host.invalid"),
        ("192.0.2.1:8000", "192.0.2.1 is no address of this machine"),
        ("[2001:db8::1]:8000", "2001:db8::1 is no address of this machine"),
        ("unix:/no/such/directory/socket", "/no/such/directory"),
        ("fd://77", "inherited"),
    ],
)
def test_what_cannot_be_had_says_why(start: Start, address: str, reason: str) -> None:
    assert reason in refusal(start("asgi:app", "-b", address))


def test_a_second_address_that_cannot_be_had_frees_the_first(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    refusal(start("asgi:app", "-b", f"unix:{path}", "-b", "192.0.2.1:8000"))
    assert not path.exists()


def test_several_addresses_are_served(interface: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    arguments = [f"{interface}:app", "-b", "[::1]:0", "-b", f"unix:{path}"]
    with serving(*arguments, cwd=APPS) as server:
        assert [url.rpartition(":")[0] for url in server.urls] == [
            "http://127.0.0.1",
            "http://[::1]",
            "unix",
        ]
        for url in server.urls[:2]:
            host, _, port = url.removeprefix("http://").rpartition(":")
            with Wire((host.strip("[]"), int(port))) as wire:
                assert wire.send(request()).answer().status == 200
        assert ask(path).status == 200
    assert not path.exists()


def test_an_inherited_socket_is_served(interface: str, start: Start) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        with Wire(sock.getsockname()) as early:
            number = sock.fileno()
            server = start(f"{interface}:app", "-b", f"fd://{number}", pass_fds=(number,))
            server.wait_until_ready()
            assert early.send(request()).answer().status == 200
    assert server.stop() == 0


def test_an_inherited_unix_socket_keeps_its_file(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        number = sock.fileno()
        server = start("asgi:app", "-b", f"fd://{number}", pass_fds=(number,)).wait_until_ready()
        assert ask(path).status == 200
        assert server.stop() == 0
    assert path.exists()


def test_an_inherited_descriptor_that_is_no_socket(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        number = file.fileno()
        refusal(start("asgi:app", "-b", f"fd://{number}", pass_fds=(number,)))


# Unix sockets


def bound(path: Path) -> None:
    """Leaves the file of a socket that nobody has any more."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def test_a_stale_file_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    bound(path)
    server = start("asgi:app", "-b", f"unix:{path}").wait_until_ready()
    assert ask(path).status == 200
    assert server.stop() == 0
    assert not path.exists()


def test_a_file_in_use_is_left_to_its_server(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    first = start("asgi:app", "-b", f"unix:{path}").wait_until_ready()
    assert f"process {first.pid}" in refusal(start("asgi:app", "-b", f"unix:{path}"))
    assert ask(path).status == 200


def test_a_file_of_a_server_that_starts_is_left_to_it(
    start: Start, tmp_path: Path, fifo: Fifo
) -> None:
    path = tmp_path / "socket"
    first = start("asgi:app", "-b", f"unix:{path}", environment={"LOAD_FIFO": fifo.path})
    with fifo.held():
        refusal(start("asgi:app", "-b", f"unix:{path}"))
    first.wait_until_ready()
    assert ask(path).status == 200


def test_a_file_that_is_no_socket_is_left_alone(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("precious")
    assert "no socket" in refusal(start("asgi:app", "-b", f"unix:{path}"))
    assert path.read_text() == "precious"


def test_a_file_of_somebody_else_is_not_removed_at_the_end(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = start("asgi:app", "-b", f"unix:{path}").wait_until_ready()
    path.unlink()
    bound(path)
    assert server.stop() == 0
    assert path.is_socket()


def test_a_worker_that_ends_leaves_the_file(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = start("asgi:app", "-b", f"unix:{path}").wait_until_ready()
    os.kill(server.workers()[0], 15)
    server.wait_for_log(r"worker \d+ is ready")
    assert ask(path).status == 200


def test_a_directory_without_permission(start: Start, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        said = refusal(
            start("asgi:app", "-b", f"unix:{tmp_path}/socket", prefix=without(CAP_DAC_OVERRIDE))
        )
    finally:
        tmp_path.chmod(0o755)
    assert "no permission" in said


def test_a_relative_path_means_the_directory_of_the_command(start: Start, tmp_path: Path) -> None:
    arguments = [f"--chdir={APPS}", "asgi:app", "-b", "unix:socket"]
    path = tmp_path / "socket"
    server = start(*arguments, cwd=tmp_path).wait_until_ready()
    assert ask(path).status == 200
    assert server.urls == [f"unix:{path}"]
    assert server.stop() == 0
    assert not path.exists()
