"""Which process holds an address that is in use, as far as /proc tells.

Only read when an address cannot be had. Knows the kernel's tables, nothing of configuration.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bicorn.config.addresses import Address


def holder_of(address: Address) -> str:
    """The program and its process, such as ``nginx (process 812)``; empty where nobody can tell."""
    inodes = set(_unix_inodes(address.path) if address.path else _tcp_inodes(address.port))
    for process, inode in _sockets_of_processes() if inodes else ():
        if inode in inodes:
            return f"{_program(process)} (process {process})"
    return ""


def is_unix_path_bound(path: str) -> bool:
    """Whether some process of this machine has a socket bound to the path, listening or not."""
    return any(True for _ in _unix_inodes(path))


def _tcp_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for fields in _rows(table):
            # local address, state (0A listens, 07 is bound only), inode
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] in ("0A", "07"):
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
