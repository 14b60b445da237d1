"""Addresses become bound sockets, or one clear line that says why not.

Binding happens at once, so that a mistake shows at once; listening is the first ready worker's, so that a port
that accepts is a port that serves. Knows nothing of workers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat

from bicorn.config.addresses import Address, parse_address
from bicorn.errors import BindError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Place = tuple[socket.AddressFamily, tuple[str, int]]

_EVERY_ADDRESS = ("0.0.0.0", "::")
_NOT_OF_THIS_MACHINE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class SocketFiles:
    """What the files of Unix sockets are given: a mode (None: as the umask leaves it), and an owner and a group (-1:
    who this process is)."""

    __slots__ = ("gid", "mode", "uid")

    def __init__(self, mode: int | None = None, uid: int = -1, gid: int = -1) -> None:
        self.mode = mode
        self.uid = uid
        self.gid = gid


class Listener:
    """A bound socket, and the file that it has on the disk, if any, which goes when it is closed."""

    __slots__ = ("_address", "_file", "_socket")

    def __init__(self, sock: socket.socket, address: Address) -> None:
        self._socket = sock
        self._address = address
        self._file: tuple[int, int] | None = None

    @property
    def address(self) -> str:
        """The address as it was asked for."""
        return str(self._address)

    @property
    def url(self) -> str:
        """Where it can be reached, with the port that the kernel chose."""
        name = self._socket.getsockname()
        if self._socket.family == socket.AF_UNIX:
            return f"unix:{os.fsdecode(name)}"
        host, port = name[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def overlaps(self, other: Listener) -> bool:
        """Whether a connection could be meant for both."""
        if self._socket.family != other._socket.family or self._socket.family == socket.AF_UNIX:
            return self.url == other.url
        (host, port), (other_host, other_port) = (
            listener._socket.getsockname()[:2] for listener in (self, other)
        )
        return port == other_port and (
            host == other_host or not {host, other_host}.isdisjoint(_EVERY_ADDRESS)
        )

    def fileno(self) -> int:
        return self._socket.fileno()

    def listen(self, backlog: int) -> None:
        """Listens, if that is not so already. Raises `BindError`: two sockets may be bound to one address, and
        the first that listens has it."""
        try:
            self._socket.listen(backlog)
        except OSError as error:
            raise BindError(_explain(self._address, error)) from None

    def own(self) -> None:
        """The file, if there is one, is this process's to remove."""
        self._file = _identity(self._address.path) if self._address.path else None

    def disown(self) -> None:
        """The file is another process's to remove: of the parent, where this is a worker."""
        self._file = None

    def close(self) -> None:
        """Closes the socket and removes its file, unless somebody has put another one there. Idempotent."""
        self._socket.close()
        if self._file is not None and _identity(self._address.path) == self._file:
            # Root has given its directory up, or it is gone. The next start sees that nobody listens there.
            with contextlib.suppress(OSError):
                os.unlink(self._address.path)
        self._file = None


def bind_all(
    addresses: Sequence[str],
    files: SocketFiles | None = None,
    *,
    kept: Sequence[Listener] = (),
    inherited: Mapping[str, list[int]] | None = None,
) -> list[Listener]:
    """Binds every address. Raises `BindError` for the first one that cannot be had.

    What is bound already is used again: ``kept`` by this process, ``inherited`` from a parent before it, whose
    descriptors are taken out of the lists. The files of those stay that parent's until `Listener.own` is called: a
    successor that fails must not remove what is still served.
    """
    files = files or SocketFiles()
    bound: list[Listener] = []
    listeners: list[Listener] = []
    try:
        for address in map(parse_address, addresses):
            known = [listener for listener in kept if listener.address == str(address)]
            if not known:
                known = _take_over(address, (inherited or {}).get(str(address), []))
                known = known or _bind(address, files)
                bound += known
            listeners += known
        _refuse_overlaps(listeners)
    except BaseException:
        close_all(bound)
        raise
    return listeners


def _take_over(address: Address, descriptors: list[int]) -> list[Listener]:
    listeners = [Listener(_adopt(descriptor), address) for descriptor in descriptors]
    descriptors.clear()
    return listeners


def received(descriptor: int, address: str) -> Listener:
    """A listener whose socket another process has passed to this one. Its file stays that process's."""
    return Listener(socket.socket(fileno=descriptor), parse_address(address))


def close_all(listeners: Sequence[Listener]) -> None:
    for listener in listeners:
        listener.close()


def _bind(address: Address, files: SocketFiles) -> list[Listener]:
    if address.kind == "fd":
        return [Listener(_adopt(address.fd), address)]
    if address.kind == "unix":
        listener = Listener(_bind_unix(address, files), address)
        listener.own()
        return [listener]
    return [Listener(sock, address) for sock in _bind_tcp(address)]


def _bind_tcp(address: Address) -> list[socket.socket]:
    """A socket for each address that the host stands for and this machine has."""
    sockets, missing = [], None
    try:
        for place in _resolve(address):
            try:
                sockets.append(_bind_place(place))
            except OSError as error:
                if error.errno not in _NOT_OF_THIS_MACHINE:
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise BindError(_explain(address, error)) from None
    return sockets


def _bind_place(place: _Place) -> socket.socket:
    family, name = place
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of a server that has just ended may still be closing.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::]:80 and 0.0.0.0:80 are two addresses, whatever the machine's default is.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(name)
    except OSError:
        sock.close()
        raise
    return sock


def _resolve(address: Address) -> Sequence[_Place]:
    try:
        # Python would import a codec of a megabyte to turn text into what a host name is.
        host = address.host.encode("ascii") if address.host.isascii() else address.host
        found = socket.getaddrinfo(
            host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BindError(
            f"cannot listen on {address}: there is no host {address.host!r} ({reason}): "
            "use an IP address, localhost, or :PORT for all addresses"
        ) from None
    places = {(family, name): (family, (str(name[0]), int(name[1]))) for family, *_, name in found}
    # With the kernel choosing the port, a name of two families would get two different ones.
    return list(places.values())[: None if address.port else 1]


def _refuse_overlaps(listeners: Sequence[Listener]) -> None:
    """The kernel refuses two sockets for one address only once both listen."""
    for index, one in enumerate(listeners):
        for other in listeners[:index]:
            if one.overlaps(other):
                raise BindError(
                    f"cannot listen on both {other.url} and {one.url}: leave one --bind out"
                )


def _bind_unix(address: Address, files: SocketFiles) -> socket.socket:
    _remove_stale(address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind_file(sock, address.path, files)
    except OSError as error:
        sock.close()
        raise BindError(_explain(address, error)) from None
    return sock


def _bind_file(sock: socket.socket, path: str, files: SocketFiles) -> None:
    """The kernel makes the file with all the bits that the umask leaves: set for this moment, they are the mode, and
    there is none in which more is allowed."""
    if files.mode is None:
        sock.bind(path)
    else:
        former = os.umask(~files.mode & 0o777)
        try:
            sock.bind(path)
        finally:
            os.umask(former)
    if (files.uid, files.gid) != (-1, -1):
        try:
            os.lchown(path, files.uid, files.gid)
        except OSError:
            os.unlink(path)
            raise


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
        except OSError as error:
            raise BindError(_explain(address, error)) from None
    raise BindError(_explain(address, OSError(errno.EADDRINUSE, "")))


def _is_bound(path: str) -> bool:
    """Whether a process holds the socket without listening yet, as a Bicorn does that is starting."""
    from bicorn.supervisor.holder import is_unix_path_bound

    return is_unix_path_bound(path)


def _adopt(descriptor: int) -> socket.socket:
    """A socket that was inherited, as from systemd. It is taken over: nobody else in this process closes it."""
    start = f"cannot listen on fd://{descriptor}"
    try:
        sock = socket.socket(fileno=descriptor)
        sock.set_inheritable(False)
    except OSError as error:
        raise BindError(
            f"{start}: {error.strerror}: pass the number of an inherited socket"
        ) from None
    if sock.type != socket.SOCK_STREAM or sock.family not in (
        socket.AF_INET,
        socket.AF_INET6,
        socket.AF_UNIX,
    ):
        sock.detach()
        raise BindError(f"{start}: it is no stream socket of IPv4, IPv6 or Unix")
    return sock


def _explain(address: Address, error: OSError) -> str:
    start = f"cannot listen on {address}"
    if error.errno == errno.EADDRINUSE:
        from bicorn.supervisor.holder import holder_of

        holder = holder_of(address) or "another process"
        return f"{start}: {holder} has it: stop that, or use another address"
    if error.errno in (errno.EACCES, errno.EPERM):
        if address.kind == "tcp":
            return (
                f"{start}: ports below 1024 need a privilege: use a higher port, "
                "or give the program CAP_NET_BIND_SERVICE"
            )
        return f"{start}: no permission: use a directory that user {os.geteuid()} may write to"
    if error.errno in _NOT_OF_THIS_MACHINE:
        return f"{start}: {address.host} is no address of this machine: use one of its own, or :{address.port}"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        directory = os.path.dirname(address.path)
        return f"{start}: there is no directory {directory}: make it first, or use another path"
    return f"{start}: {error.strerror}"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
