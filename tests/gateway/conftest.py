"""Servers that the tests of the gateways share, and what they measure of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, serving

APPS = Path(__file__).parent / "apps"
QUIET = ("--no-access-log", "--log-level=warning")


@pytest.fixture(scope="session", params=["asyncio", "uvloop"])
def asgi(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The cases of the ASGI gateway, on each loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    options = (*QUIET, f"--loop={request.param}", "--limit-body=1GiB")
    with serving("asgi_cases:app", *options, cwd=APPS) as server:
        yield server


@pytest.fixture(scope="session")
def wsgi() -> Iterator[Server]:
    """The cases of the WSGI gateway."""
    with serving("wsgi_cases:app", *QUIET, cwd=APPS) as server:
        yield server


def peak_memory(server: Server) -> int:
    """The most bytes that the worker ever had in memory."""
    [worker] = server.workers()
    for line in Path(f"/proc/{worker}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")
