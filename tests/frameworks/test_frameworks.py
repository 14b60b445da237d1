"""Real frameworks, unchanged: each serves the routes of `apps/content.py`, and no flag says what it is.

A framework is one line in `SERVED` and one module in `apps`. Those of ASGI run on asyncio and on uvloop.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.frameworks.apps import content
from tests.support.server import PATIENCE, Server, serving

APPS = Path(__file__).parent / "apps"
UPLOAD = 20 * 1024 * 1024
DELIBERATE = re.compile(r"^(?:content\.)?Deliberate: \w+$", re.MULTILINE)
"""The last line of the traceback of /error."""


@dataclass(frozen=True)
class Served:
    target: str
    interface: str
    loop: str = ""

    @property
    def arguments(self) -> list[str]:
        return ["--loop", self.loop, self.target] if self.loop else [self.target]

    def __str__(self) -> str:
        name = self.target.partition("_app:")[0]
        return "-".join(part for part in (name, self.interface, self.loop) if part)


WSGI = ["bottle_app:app", "cherrypy_app:app", "django_app:wsgi", "flask_app:app", "pyramid_app:app"]
ASGI = [
    "django_app:asgi",
    "fastapi_app:app",
    "litestar_app:app",
    "quart_app:app",
    "sanic_app:app",
    "starlette_app:app",
]
SERVED = [
    *(Served(target, "WSGI") for target in WSGI),
    *(Served(target, "ASGI", loop) for target in ASGI for loop in ("asyncio", "uvloop")),
]


@pytest.fixture(scope="module", params=SERVED, ids=str)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(*request.param.arguments, cwd=APPS) as running:
        assert f", {request.param.interface})" in running.log
        yield running
    assert len(DELIBERATE.findall(running.log)) <= 1, running.log


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as client:
        yield client


def test_page(client: httpx.Client) -> None:
    response = client.get("/", params={"name": "Zoë & Co"})
    assert (response.status_code, response.text) == (200, "Hello, Zoë & Co!")
    assert response.headers["content-type"].startswith("text/")
    assert response.headers["date"]
    # The connection is kept, and the next request on it is another one.
    assert client.get("/").text == "Hello, you!"


def test_head(client: httpx.Client) -> None:
    response = client.head("/")
    assert (response.status_code, response.content) == (200, b"")
    assert client.get("/").text == "Hello, you!"


def test_form(client: httpx.Client) -> None:
    response = client.post("/form", data={"name": "Jürgen", "city": "São Paulo & more"})
    assert response.is_success
    assert response.text == "Jürgen from São Paulo & more"


def test_upload(client: httpx.Client) -> None:
    line = b"A line of a file that is 20 MiB long.\n"
    data = (line * (UPLOAD // len(line) + 1))[:UPLOAD]
    response = client.post("/upload", files={"file": ("big.bin", data)})
    assert response.is_success
    assert response.text == f"big.bin {UPLOAD} {hashlib.sha256(data).hexdigest()}"


def test_streamed_download(client: httpx.Client) -> None:
    with client.stream("GET", "/download") as response:
        assert response.status_code == 200
        assert response.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in response.headers
        received = b"".join(response.iter_bytes())
    assert received == b"".join(content.blocks())


def test_a_download_that_is_broken_off(client: httpx.Client, server: Server) -> None:
    before = len(server.log)
    with client.stream("GET", "/download") as response:
        assert next(response.iter_bytes())
    assert client.get("/").text == "Hello, you!"
    # Sanic logs it itself, with a traceback; the server has nothing to report.
    assert "failed (request" not in server.log[before:]


def test_cookies(client: httpx.Client) -> None:
    response = client.get("/cookies", headers={"cookie": "other=1; given=a-b_c; last=2"})
    assert response.text == "a-b_c"
    assert dict(response.cookies) == {"first": "1", "second": "2"}
    assert len(response.headers.get_list("set-cookie")) == 2


def test_redirect(client: httpx.Client) -> None:
    response = client.get("/redirect")
    assert response.status_code in (302, 303, 307)
    assert response.next_request is not None
    assert response.next_request.url.path == "/"
    assert client.get("/redirect", follow_redirects=True).text == "Hello, you!"


def test_not_found(client: httpx.Client) -> None:
    assert client.get("/missing").status_code == 404
    assert client.get("/").text == "Hello, you!"


def test_error(client: httpx.Client, server: Server) -> None:
    """The client gets a 500 without the traceback; the log gets it, and the fixture sees that it got it once."""
    response = client.get("/error")
    assert response.status_code == 500
    assert "Traceback" not in response.text
    server.wait_for_log(DELIBERATE.pattern)
    assert client.get("/").text == "Hello, you!"
