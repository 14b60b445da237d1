"""Addresses become sockets, or one line that says what is wrong and what to do."""

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bicorn.errors import BindError
from bicorn.supervisor.listeners import Listener, SocketFiles, bind_all, close_all

Bind = Callable[..., list[Listener]]


@pytest.fixture
def bind() -> Iterator[Bind]:
    with ExitStack() as ends:

        def bind_them(*addresses: str) -> list[Listener]:
            listeners = bind_all(addresses)
            ends.callback(close_all, listeners)
            return listeners

        yield bind_them


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def port_of(listener: Listener) -> int:
    return int(listener.url.rpartition(":")[2])


def connect(listener: Listener) -> None:
    host, _, port = listener.url.removeprefix("http://").rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), 10).close()


def test_a_bound_address_refuses_until_it_is_listened_on(bind: Bind) -> None:
    (listener,) = bind("127.0.0.1:0")
    assert port_of(listener) > 0
    with pytest.raises(ConnectionRefusedError):
        connect(listener)
    listener.listen(5)
    connect(listener)
    listener.listen(7)
    connect(listener)


def test_several_at_once(bind: Bind, tmp_path: Path) -> None:
    urls = [listener.url for listener in bind("127.0.0.1:0", f"unix:{tmp_path}/s", "localhost:0")]
    assert len(urls) == 3
    assert urls[1] == f"unix:{tmp_path}/s"


def test_none_is_kept_when_one_cannot_be_had(taken: int, tmp_path: Path) -> None:
    # That no descriptor stays open is what every test is checked for.
    with pytest.raises(BindError):
        bind_all([f"unix:{tmp_path}/s", "127.0.0.1:0", f"127.0.0.1:{taken}"])
    assert not (tmp_path / "s").exists()


@pytest.mark.skipif(not socket.has_ipv6, reason="Python was built without IPv6")
def test_ipv6_is_an_address_of_its_own(bind: Bind) -> None:
    try:
        (six,) = bind("[::]:0")
    except BindError:
        pytest.skip("this machine has no IPv6")
    (four,) = bind(f"0.0.0.0:{port_of(six)}")
    assert six.url == f"http://[::]:{port_of(four)}"
    four.listen(1)
    six.listen(1)


def test_a_port_in_use_names_its_holder(taken: int) -> None:
    with pytest.raises(BindError) as caught:
        bind_all([f"127.0.0.1:{taken}"])
    program = Path("/proc/self/comm").read_text().strip()
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{taken}: {program} (process {os.getpid()}) has it: "
        "stop that, or use another address"
    )


def test_every_address_is_in_use_where_one_is(taken: int) -> None:
    with pytest.raises(BindError, match=rf"0.0.0.0:{taken}: .* has it"):
        bind_all([f"0.0.0.0:{taken}"])


def test_two_are_bound_and_the_first_to_listen_has_it(bind: Bind) -> None:
    (first,) = bind("127.0.0.1:0")
    (second,) = bind(f"127.0.0.1:{port_of(first)}")
    second.listen(1)
    with pytest.raises(BindError, match=r"has it: stop that"):
        first.listen(1)


@pytest.mark.parametrize("other", ["127.0.0.1", "0.0.0.0"])
def test_an_address_given_twice(bind: Bind, other: str) -> None:
    (free,) = bind("127.0.0.1:0")
    port = port_of(free)
    with pytest.raises(BindError, match=r"cannot listen on both .*: leave one --bind out"):
        bind_all([f"127.0.0.1:{port}", f"{other}:{port}"])


def test_a_foreign_address() -> None:
    # 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    with pytest.raises(BindError, match=r"192.0.2.1 is no address of this machine: use one of its"):
        bind_all(["192.0.2.1:0"])


def test_a_host_that_is_not_there() -> None:
    # RFC 6761 reserves the name.
    with pytest.raises(BindError, match=r"there is no host 'no-such-host.invalid'"):
        bind_all(["no-such-host.invalid:80"])


def test_a_low_port_without_the_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: socket.socket, _name: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # The tests may run as root, whom no port is refused.
    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(BindError, match=r"127.0.0.1:80: ports below 1024 need a privilege: use"):
        bind_all(["127.0.0.1:80"])


def test_a_unix_socket_goes_when_it_is_closed(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    (listener,) = bind(f"unix:{path}")
    assert stat.S_ISSOCK(path.stat().st_mode)
    listener.close()
    assert not path.exists()
    listener.close()


def test_a_unix_socket_of_somebody_else_stays(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    (old,) = bind(f"unix:{path}")
    path.unlink()
    (new,) = bind(f"unix:{path}")
    old.close()
    assert path.exists()
    new.disown()
    new.close()
    assert path.exists()


def test_a_stale_unix_socket_is_replaced(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    (killed,) = bind(f"unix:{path}")
    killed.listen(1)
    killed.disown()
    killed.close()
    (listener,) = bind(f"unix:{path}")
    listener.listen(1)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("listens", [True, False])
def test_a_unix_socket_in_use_is_left_alone(bind: Bind, tmp_path: Path, listens: bool) -> None:
    path = tmp_path / "app.sock"
    (listener,) = bind(f"unix:{path}")
    if listens:
        listener.listen(1)
    with pytest.raises(BindError, match=rf"process {os.getpid()}\) has it: stop that"):
        bind_all([f"unix:{path}"])
    assert path.exists()


def test_a_file_in_the_place_of_a_unix_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(BindError, match=r"the file exists and is no socket: use another path"):
        bind_all([f"unix:{tmp_path}/precious"])
    assert (tmp_path / "precious").read_text() == "data"


def test_a_unix_socket_without_its_directory(tmp_path: Path) -> None:
    with pytest.raises(BindError, match=rf"there is no directory {tmp_path}/run: make it first"):
        bind_all([f"unix:{tmp_path}/run/app.sock"])


def test_an_inherited_socket_is_taken_over() -> None:
    inherited = socket.create_server(("127.0.0.1", 0))
    inherited.set_inheritable(True)
    (listener,) = bind_all([f"fd://{inherited.fileno()}"])
    assert port_of(listener) == inherited.getsockname()[1]
    assert listener.fileno() == inherited.detach()
    assert not os.get_inheritable(listener.fileno())
    listener.listen(9)
    connect(listener)
    listener.close()


def test_an_inherited_descriptor_that_is_no_socket(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(
            BindError, match=r"fd://\d+: .*: pass the number of an inherited socket"
        ):
            bind_all([f"fd://{file.fileno()}"])
        closed = os.dup(file.fileno())
        os.close(closed)
        with pytest.raises(BindError, match=r"Bad file descriptor: pass"):
            bind_all([f"fd://{closed}"])


def test_an_inherited_socket_of_another_kind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        with pytest.raises(BindError, match=r"it is no stream socket of IPv4, IPv6 or Unix"):
            bind_all([f"fd://{datagrams.fileno()}"])
        assert datagrams.fileno() >= 0


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_unix_socket_has_the_mode_that_it_shall_have(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "app.sock"
    former = os.umask(umask)
    try:
        (listener,) = bind_all([f"unix:{path}"], SocketFiles(0o660))
        assert os.umask(umask) == umask
    finally:
        os.umask(former)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    listener.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_unix_socket_has_the_owner_that_it_shall_have(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    (listener,) = bind_all([f"unix:{path}"], SocketFiles(0o660, 65534, 1))
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 1)
    listener.close()


def test_a_successor_that_fails_leaves_the_file_to_its_predecessor(
    bind: Bind, tmp_path: Path
) -> None:
    path = tmp_path / "app.sock"
    (old,) = bind(f"unix:{path}")
    (new,) = bind_all([old.address], inherited={old.address: [os.dup(old.fileno())]})
    new.close()
    assert path.exists()


def test_a_successor_that_serves_removes_the_file_at_its_own_end(
    bind: Bind, tmp_path: Path
) -> None:
    path = tmp_path / "app.sock"
    (old,) = bind(f"unix:{path}")
    old.listen(1)
    (new,) = bind_all([old.address], inherited={old.address: [os.dup(old.fileno())]})
    assert (new.address, new.url) == (f"unix:{path}", f"unix:{path}")
    new.own()
    old.disown()
    old.close()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    new.close()
    assert not path.exists()


def test_a_file_in_a_directory_that_is_gone_is_no_error(bind: Bind, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    (listener,) = bind(f"unix:{directory}/app.sock")
    (directory / "app.sock").unlink()
    directory.rmdir()
    listener.close()
