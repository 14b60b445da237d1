"""How much memory a process uses, and how much the machine has left. Reads /proc; elsewhere nothing is known."""

from __future__ import annotations

import os

_PAGE = os.sysconf("SC_PAGE_SIZE")


def used_by(pid: int, measure: str) -> int:
    """Bytes by ``rss`` (all that is resident) or ``pss`` (shared pages by their share); 0 where unknown."""
    try:
        if measure == "rss":
            return int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE
        return _kilobytes(_read(f"/proc/{pid}/smaps_rollup"), b"Pss:")
    except (OSError, ValueError, IndexError):
        return 0


def available() -> int | None:
    """Bytes that a new process may take without driving others out; None where unknown."""
    try:
        return _kilobytes(_read("/proc/meminfo"), b"MemAvailable:")
    except (OSError, ValueError, IndexError):
        return None


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def _kilobytes(table: bytes, name: bytes) -> int:
    for line in table.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise ValueError(name)
