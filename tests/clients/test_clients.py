"""Real clients against the running server, over ASGI and over WSGI. How each is called: `clients.py`."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.apps import BLOCK, BLOCKS
from tests.clients.clients import CLIENTS, Client, Curl
from tests.support.server import Server, serving

HERE = Path(__file__).parent
UPLOAD = random.Random(3).randbytes(3 * 1024 * 1024 + 1)


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(f"apps:{request.param}", cwd=HERE) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture(params=CLIENTS)
def client(
    request: pytest.FixtureRequest, server: Server, require_tool: Callable[[str], str]
) -> Iterator[Client]:
    if request.param == "curl":
        require_tool("curl")
    client = CLIENTS[request.param](server.url)
    yield client
    client.close()


def test_get(client: Client) -> None:
    reply = client.get("/")
    assert (reply.status, reply.body) == (200, b"Hello")
    assert reply.headers["content-length"] == "5"
    assert reply.headers["x-method"] == "GET"


def test_head(client: Client) -> None:
    reply = client.head("/")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-length"] == "5"
    assert reply.headers["x-method"] == "HEAD"
    assert client.get("/").body == b"Hello"


def test_no_content(client: Client) -> None:
    reply = client.get("/empty")
    assert (reply.status, reply.body) == (204, b"")
    assert "content-length" not in reply.headers
    assert client.get("/").body == b"Hello"


def test_form(client: Client) -> None:
    reply = client.form("/echo", {"name": "a b", "mark": "&é"})
    assert reply.headers["x-method"] == "POST"
    assert reply.headers["x-type"] == "application/x-www-form-urlencoded"
    plus = reply.body.replace(b"%20", b"+")
    assert plus == b"name=a+b&mark=%26%C3%A9"


def test_upload(client: Client) -> None:
    """Of a known length; curl and aiohttp wait for 100 Continue here."""
    reply = client.put("/echo", UPLOAD)
    assert reply.status == 200
    assert reply.body == UPLOAD
    assert reply.headers["x-method"] == "PUT"


def test_chunked_upload(client: Client) -> None:
    reply = client.put_chunked("/echo", UPLOAD)
    assert reply.status == 200
    assert reply.body == UPLOAD


def test_streamed_download(client: Client) -> None:
    reply = client.get("/stream")
    assert reply.status == 200
    assert reply.body == BLOCK * BLOCKS


def test_broken_off_download(client: Client) -> None:
    client.break_off("/stream")
    assert client.get("/").body == b"Hello"


def test_compressed_answer(client: Client) -> None:
    reply = client.get("/gzip")
    assert reply.body == b"Hello"
    assert reply.headers["vary"] == "Accept-Encoding"


def test_keep_alive(client: Client) -> None:
    first, second = client.twice("/")
    assert (first.body, second.body) == (b"Hello", b"Hello")
    on_one_connection = first.headers["x-client-port"] == second.headers["x-client-port"]
    assert on_one_connection == client.keeps_alive


def test_curl_is_told_to_continue(server: Server, require_tool: Callable[[str], str]) -> None:
    require_tool("curl")
    assert Curl(server.url).interim("/echo", UPLOAD) == [100, 200]


def test_curl_is_told_that_the_body_is_not_wanted(
    server: Server, require_tool: Callable[[str], str]
) -> None:
    """An ASGI application may answer before it reads; a WSGI application is called with the body complete."""
    require_tool("curl")
    expected = [413] if "(ASGI)" in server.log else [100, 413]
    assert Curl(server.url).interim("/refuse", UPLOAD) == expected
