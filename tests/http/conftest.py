"""Servers that the tests of HTTP/1.1 share: one for each interface, with limits that a test can reach."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, serving

APPS = Path(__file__).parents[1] / "gateway" / "apps"

SMALL_LIMITS = (
    "--limit-request-line=1KiB",
    "--limit-header-section=8KiB",
    "--limit-header-fields=20",
    "--limit-body=1MiB",
)
SHORT_TIMEOUTS = (
    "--header-timeout=500ms",
    "--keep-alive-timeout=500ms",
    "--body-rate=1000",
    "--body-rate-grace=500ms",
    "--write-timeout=500ms",
)


@pytest.fixture(scope="session", params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """As it comes, without options."""
    yield from watched(f"plain_{request.param}:app")


@pytest.fixture(scope="session", params=["asgi", "wsgi"])
def limited(request: pytest.FixtureRequest) -> Iterator[Server]:
    """With small limits."""
    yield from watched(f"plain_{request.param}:app", *SMALL_LIMITS)


@pytest.fixture(scope="session", params=["asgi", "wsgi"])
def hasty(request: pytest.FixtureRequest) -> Iterator[Server]:
    """With short timeouts."""
    yield from watched(f"plain_{request.param}:app", *SHORT_TIMEOUTS)


@pytest.fixture(scope="session", params=["asgi", "wsgi"])
def frugal(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Without the fields that a server adds, and one answer a connection."""
    options = ("--no-date-header", "--no-server-header", "--keep-alive-timeout=0")
    yield from watched(f"plain_{request.param}:app", *options)


def watched(*arguments: str) -> Iterator[Server]:
    """A server whose worker must live through all tests and have nothing to complain of."""
    with serving(*arguments, "--log-level=warning", cwd=APPS) as server:
        workers = server.workers()
        yield server
        assert server.workers() == workers
        assert "Traceback" not in server.log
        assert "panicked" not in server.log
