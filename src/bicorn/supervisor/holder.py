"""Which process holds an address that is in use, as far as /proc tells.

Only read when an address cannot be had. Knows the kernel's tables, nothing of configuration.
"""

from __future__ import annotations

import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bicorn.config.addresses import Address


_LISTENS = "0A"
_EVERY_IPV4 = "00000000"


def holder_of(address: Address) -> str:
    """The program and its process, such as ``nginx (process 812)``; empty where nobody can tell.

    Of processes that share the socket it is the oldest, as a rule the parent of the others.
    """
    inodes = set(_unix_inodes(address.path) if address.path else _tcp_inodes(address))
    if not inodes:
        return ""
    processes = [process for process, inode in _sockets_of_processes() if inode in inodes]
    return f"{_program(min(processes))} (process {min(processes)})" if processes else ""


def is_unix_path_bound(path: str) -> bool:
    """Whether some process of this machine has a socket bound to the path, listening or not."""
    return any(True for _ in _unix_inodes(path))


def _tcp_inodes(address: Address) -> Iterator[str]:
    """Sockets that listen on the port, on this address or on every one; which of IPv6's is not looked at."""
    hosts = {_EVERY_IPV4}
    try:
        # The kernel prints the four bytes as a number of the machine's own byte order.
        packed = socket.inet_aton(address.host)
        hosts.add(f"{int.from_bytes(packed, sys.byteorder):08X}")
    except OSError:
        hosts.clear()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for fields in _rows(table):
            host, _, port = fields[1].rpartition(":")
            is_here = not hosts or len(host) != len(_EVERY_IPV4) or host in hosts
            if is_here and int(port, 16) == address.port and fields[3] == _LISTENS:
                yield fields[9]


def _unix_inodes(path: str) -> Iterator[str]:
    for fields in _rows("/proc/net/unix"):
        if len(fields) > 7 and fields[7] == path:
            yield fields[6]


def _rows(table: str) -> Iterator[list[str]]:
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as lines:
            next(lines)
            for line in lines:
                yield line.split()
    except OSError:
        return


def _sockets_of_processes() -> Iterator[tuple[int, str]]:
    """Process and socket inode, for the processes whose descriptors this user may see."""
    for process in filter(str.isdigit, _listing("/proc")):
        for descriptor in _listing(f"/proc/{process}/fd"):
            try:
                target = os.readlink(f"/proc/{process}/fd/{descriptor}")
            except OSError:
                continue
            if target.startswith("socket:["):
                yield int(process), target[len("socket:[") : -1]


def _listing(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _program(process: int) -> str:
    try:
        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    except OSError:
        return "a program"
