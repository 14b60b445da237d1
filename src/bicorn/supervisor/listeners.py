"""Addresses become bound sockets, or one clear line that says why not.

Binding happens at once, so that a mistake shows at once; listening is the first ready worker's, so that a port
that accepts is a port that serves. Knows nothing of workers.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

from bicorn.config.addresses import Address, parse_address
from bicorn.errors import BindError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Listener:
    """A bound socket, and the file that it left on the disk, if any."""

    __slots__ = ("inode", "path", "socket")

    def __init__(self, sock: socket.socket, path: str = "") -> None:
        self.socket = sock
        self.path = path
        self.inode = os.stat(path).st_ino if path else 0

    @property
    def url(self) -> str:
        """Where it can be reached, with the port that the kernel chose."""
        name = self.socket.getsockname()
        if self.socket.family == socket.AF_UNIX:
            return f"unix:{os.fsdecode(name)}"
        host, port = name[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def close(self) -> None:
        """Closes the socket, and removes its file unless somebody else has put another one there."""
        self.socket.close()
        if self.path:
            try:
                if os.stat(self.path).st_ino == self.inode:
                    os.unlink(self.path)
            except FileNotFoundError:
                self.path = ""


def bind_all(addresses: Sequence[str]) -> list[Listener]:
    """Binds every address. Raises `BindError` for the first one that cannot be had."""
    listeners: list[Listener] = []
    try:
        for text in addresses:
            listeners += _bind(parse_address(text))
    except BaseException:
        close_all(listeners)
        raise
    return listeners


def close_all(listeners: Sequence[Listener]) -> None:
    for listener in listeners:
        listener.close()


def _bind(address: Address) -> list[Listener]:
    if address.kind == "fd":
        return [Listener(_adopt(address.fd))]
    if address.kind == "unix":
        return [_bind_unix(address)]
    return [Listener(_bind_tcp(address, *place)) for place in _resolve(address)]


def _resolve(address: Address) -> list[tuple[int, tuple[str, int]]]:
    """The distinct (family, socket address) pairs that a host stands for."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise BindError(
            f"cannot listen on {address}: {address.host!r} is no address of this machine ({error.strerror}): "
            "use an IP address, localhost, or :PORT for all addresses"
        ) from None
    places = {
        (family, name[:2]): (int(family), (str(name[0]), int(name[1])))
        for family, *_, name in found
    }
    # With the kernel choosing the port, a name of two families would get two different ones.
    return list(places.values())[: None if address.port else 1]


def _bind_tcp(address: Address, family: int, name: tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(name)
    except OSError as error:
        sock.close()
        raise BindError(_explain(address, error)) from None
    return sock


def _bind_unix(address: Address) -> Listener:
    _remove_stale(address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address.path)
    except OSError as error:
        sock.close()
        raise BindError(_explain(address, error)) from None
    return Listener(sock, address.path)


def _remove_stale(address: Address) -> None:
    """Removes the socket that a server which was killed left behind, and nothing else."""
    try:
        mode = os.lstat(address.path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(
            f"cannot listen on {address}: the file exists and is no socket: use another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            if not _is_bound(address.path):
                os.unlink(address.path)
                return
        except OSError:
            return
    raise BindError(_explain(address, OSError(errno.EADDRINUSE, "")))


def _is_bound(path: str) -> bool:
    """Whether a process holds the socket without listening yet, as a Bicorn does that is starting."""
    from bicorn.supervisor.holder import is_unix_path_bound

    return is_unix_path_bound(path)


def _adopt(descriptor: int) -> socket.socket:
    """A socket that was inherited, as from systemd."""
    try:
        sock = socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise BindError(
            f"cannot listen on fd://{descriptor}: {error.strerror}: pass the number of an inherited socket"
        ) from None
    if sock.type != socket.SOCK_STREAM:
        sock.close()
        raise BindError(f"cannot listen on fd://{descriptor}: it is no stream socket")
    return sock


def _explain(address: Address, error: OSError) -> str:
    start = f"cannot listen on {address}"
    if error.errno == errno.EADDRINUSE:
        from bicorn.supervisor.holder import holder_of

        holder = holder_of(address)
        return f"{start}: {holder or 'another process'} has it: stop that, or use another address"
    if error.errno in (errno.EACCES, errno.EPERM):
        if address.kind == "tcp" and address.port < 1024:
            return (
                f"{start}: ports below 1024 need a privilege: use a higher port, "
                "or give the program CAP_NET_BIND_SERVICE"
            )
        return f"{start}: no permission: use a directory that {_user()} may write to"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{start}: {address.host} is no address of this machine: use one of its own, or :{address.port}"
    if error.errno == errno.ENOENT:
        return (
            f"{start}: the directory {os.path.dirname(address.path)} does not exist: make it first"
        )
    return f"{start}: {error.strerror}"


def _user() -> str:
    return f"user {os.geteuid()}"
