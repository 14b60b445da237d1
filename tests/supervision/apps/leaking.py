"""The echo on WSGI, which keeps a megabyte of each request for ever."""

from collections.abc import Callable, Iterable
from typing import Any

import echo_wsgi

LEAK = 1 << 20
kept: list[bytes] = []


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    # Written to, so that it is in memory and not only promised.
    kept.append(b"\1" * LEAK)
    return echo_wsgi.app(environ, start_response)
