"""When a worker has served enough: by requests, by age, by memory.

Decides, and does nothing. The jitter is drawn once for each worker, so that workers which started together do
not end together.
"""

from __future__ import annotations

import os

from bicorn.supervisor import memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.config import Config

REQUESTS_INTERVAL = 0.25
"""Seconds between two looks at a worker's requests or resident memory."""
PSS_INTERVAL = 2.0
"""The kernel walks all of a process's pages for this measure."""


class Allowance:
    """What one worker may use."""

    __slots__ = ("_config", "_lifetime", "_requests")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._requests = config.max_requests + int(_share() * config.max_requests_jitter)
        self._lifetime = config.max_lifetime + _share() * config.max_lifetime_jitter

    def overdrawn(self, *, requests: int, age: float, used: int) -> str:
        """Why the worker is to be replaced; empty if it need not be. ``used`` is its memory in bytes."""
        if self._config.max_requests and requests >= self._requests:
            return f"has answered {requests} requests (--max-requests)"
        if self._config.max_lifetime and age >= self._lifetime:
            return f"has served for {age:.0f} s (--max-lifetime)"
        if self._config.max_memory and used >= self._config.max_memory:
            return f"uses {used >> 20} MiB (--max-memory)"
        return ""

    def is_far_over(self, used: int) -> bool:
        """Whether it may not even finish what it has."""
        return 0 < self._config.max_memory_hard <= used


def _share() -> float:
    """From 0 to 1. Not from `random`, whose import would be most of what it costs."""
    return int.from_bytes(os.urandom(4)) / 0xFFFFFFFF


def memory_of(pid: int, config: Config) -> int:
    """A worker's memory in bytes, where a limit asks for it."""
    if not (config.max_memory or config.max_memory_hard):
        return 0
    return memory.used_by(pid, config.memory_measure)


def interval(config: Config) -> float | None:
    """Seconds between two looks at the workers; None if nothing is limited."""
    if config.max_memory or config.max_memory_hard:
        return PSS_INTERVAL if config.memory_measure == "pss" else REQUESTS_INTERVAL
    if config.max_requests:
        return REQUESTS_INTERVAL
    return 1.0 if config.max_lifetime else None
