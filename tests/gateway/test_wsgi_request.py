"""The environ and `wsgi.input` (PEP 3333, RFC 3875)."""

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.server import Server, serving
from tests.support.wire import Wire, request

from .conftest import APPS, QUIET

CHUNKED = ("Transfer-Encoding: chunked",)
KIB = 1024
LINES = b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n"


@pytest.fixture(scope="module")
def streaming() -> Iterator[Server]:
    """Hands request bodies over as they come."""
    options = (*QUIET, "--wsgi-body=stream", "--limit-body=8MiB")
    with serving("wsgi_cases:app", *options, cwd=APPS) as server:
        yield server


@pytest.fixture(scope="module", params=["buffer", "stream"])
def either(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue("wsgi" if request.param == "buffer" else "streaming")
    return server


def facts(server: Server, data: bytes) -> tuple[dict[str, Any], dict[str, str], tuple[str, int]]:
    with Wire(server.address) as wire:
        answer = wire.send(data).answer()
        assert answer.status == 200
        found = json.loads(answer.body)
        return found["environ"], found["kinds"], wire.socket.getsockname()


def test_every_key_has_its_value(wsgi: Server) -> None:
    data = (
        b"POST /fact%73?a=%20b HTTP/1.1\r\nHost: test\r\nX-A: \xe4\r\nX-A: b\r\nCookie: a=b\r\nCookie: c=d\r\n"
        b"Content-Type: text/x\r\nContent-Length: 3\r\n\r\nabc"
    )
    environ, kinds, (host, port) = facts(wsgi, data)
    assert environ == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/facts",
        "QUERY_STRING": "a=%20b",
        "RAW_URI": "/fact%73?a=%20b",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "bicorn",
        "SERVER_NAME": wsgi.address[0],
        "SERVER_PORT": str(wsgi.address[1]),
        "REMOTE_ADDR": host,
        "REMOTE_PORT": str(port),
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "3",
        "HTTP_HOST": "test",
        "HTTP_X_A": "\xe4, b",
        "HTTP_COOKIE": "a=b; c=d",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    assert {"wsgi.input", "wsgi.errors", "wsgi.file_wrapper"} < kinds.keys()


def test_path_info_is_latin_1() -> None:
    with serving("wsgi_only:app", *QUIET, cwd=APPS) as server:
        environ, _, _ = facts(server, request("/%E2%82%AC/%zz"))
        assert environ["PATH_INFO"] == "/\xe2\x82\xac/%zz"
        environ, _, _ = facts(server, b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
        assert environ["PATH_INFO"] == ""


@pytest.mark.parametrize(
    ("path", "info"), [("/m/a", "/a"), ("/m", ""), ("/m/", "/"), ("/mn", "/mn"), ("/a", "/a")]
)
def test_the_root_path(path: str, info: str, mounted: Server) -> None:
    environ, _, _ = facts(mounted, request(path))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/m", info)


@pytest.fixture(scope="module")
def mounted() -> Iterator[Server]:
    options = (*QUIET, "--root-path=/m", "--workers=2")
    with serving("wsgi_only:app", *options, cwd=APPS) as server:
        yield server


def test_the_flags_are_true_to_the_facts(mounted: Server) -> None:
    environ, _, _ = facts(mounted, request())
    assert (environ["wsgi.multiprocess"], environ["wsgi.multithread"]) == (True, False)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", ["/validated", "/validated-stream"])
def test_the_validator_has_nothing_to_say(either: Server, method: str, path: str) -> None:
    body = b"posted" if method == "POST" else b""
    with Wire(either.address) as wire:
        wire.send(request(path, method=method, headers=("Content-Type: text/plain",), body=body))
        answer = wire.answer(method)
        assert answer.status == 200
        expected = b"written and yielded" if path == "/validated-stream" else body or b"validated"
        assert answer.body == (b"" if method == "HEAD" else expected)
    assert "AssertionError" not in either.log


@pytest.mark.parametrize("chunked", [False, True])
def test_every_way_to_read(either: Server, chunked: bool) -> None:
    with Wire(either.address) as wire:
        if chunked:
            wire.send(request("/read-in-ways", method="POST", headers=CHUNKED))
            wire.send(b"".join(b"1\r\n%c\r\n" % byte for byte in LINES) + b"0\r\n\r\n")
        else:
            wire.send(request("/read-in-ways", method="POST", body=LINES))
        parts = json.loads(wire.answer().body)
    lines = ["three\n", "four\n", "five\n", "six\n", "seven\n"]
    assert parts == ["", "on", "e\n", "tw", "o\n", *lines, "", "", "", ""]


@pytest.mark.parametrize("length", [0, 1, 256 * KIB, 256 * KIB + 1, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_read_whole(either: Server, length: int, chunked: bool) -> None:
    body = b"x" * length
    with Wire(either.address) as wire:
        if chunked:
            wire.send(request("/digest", method="POST", headers=CHUNKED))
            wire.send((b"%x\r\n%b\r\n" % (length, body) if length else b"") + b"0\r\n\r\n")
        else:
            wire.send(
                request("/digest", method="POST", headers=(f"Content-Length: {length}",)) + body
            )
        digest, is_file, announced, is_terminated = json.loads(wire.answer().body)
    is_buffered = "--wsgi-body=stream" not in str(either.process.args)
    assert digest == hashlib.sha256(body).hexdigest()
    assert is_terminated is True
    assert is_file == (is_buffered and length > 256 * KIB)
    assert announced == (str(length) if is_buffered or not chunked else None)


def test_temporary_files_are_let_go(wsgi: Server) -> None:
    [worker] = wsgi.workers()
    with Wire(wsgi.address) as wire:
        for _ in range(2):
            data = request("/digest", method="POST", body=b"x" * (300 * KIB))
            assert wire.send(data).answer().status == 200
            assert wire.send(request("/hello")).answer().status == 200
        targets = [
            os.readlink(f"/proc/{worker}/fd/{name}") for name in os.listdir(f"/proc/{worker}/fd")
        ]
    assert not [target for target in targets if "(deleted)" in target]


def test_a_streamed_body_is_read_while_it_comes(streaming: Server) -> None:
    with Wire(streaming.address) as wire:
        wire.send(request("/first-line", method="POST", headers=("Content-Length: 8",)) + b"one\n")
        streaming.wait_for_log(r"^first line b'one\\n'", stream="out")
        assert wire.send(b"two\n").answer().body == b"one\ntwo\n"


def test_a_streamed_body_is_asked_for_when_it_is_read(streaming: Server) -> None:
    headers = ("Expect: 100-continue", "Content-Length: 3")
    with Wire(streaming.address) as wire:
        assert wire.send(request("/hello", method="POST", headers=headers)).answer().status == 200
        assert wire.is_closed()
    with Wire(streaming.address) as wire:
        assert wire.send(request("/digest", method="POST", headers=headers)).answer().status == 100
        assert wire.send(b"abc").answer().status == 200


def test_a_streamed_body_of_a_client_that_has_ended_its_side(streaming: Server) -> None:
    for headers, body in ((("Content-Length: 3",), b"abc"), (CHUNKED, b"3\r\nabc\r\n0\r\n\r\n")):
        with Wire(streaming.address) as wire:
            wire.send(request("/digest", method="POST", headers=headers) + body).end()
            assert json.loads(wire.answer().body)[0] == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("headers", [("Content-Length: 9",), CHUNKED])
def test_a_client_that_leaves_in_a_streamed_body(
    streaming: Server, headers: tuple[str, ...]
) -> None:
    told = streaming.access_log.count("reading raised ClientDisconnected")
    with Wire(streaming.address) as wire:
        wire.send(request("/read-until-gone", method="POST", headers=headers))
        streaming.wait_for_log(rf"(?s)((^|\n)reading\n.*){{{told + 1}}}", stream="out")
    streaming.wait_for_log(
        rf"(?s)(reading raised ClientDisconnected.*){{{told + 1}}}", stream="out"
    )
    with Wire(streaming.address) as wire:
        assert wire.send(request("/hello")).answer().status == 200
    assert "read-until-gone" not in streaming.log


def test_a_client_that_leaves_in_a_buffered_body_is_not_heard_of(wsgi: Server) -> None:
    with Wire(wsgi.address) as wire:
        wire.send(request("/read-until-gone", method="POST", headers=("Content-Length: 9",)) + b"a")
    with Wire(wsgi.address) as wire:
        assert wire.send(request("/hello")).answer().status == 200
    assert "reading" not in wsgi.access_log
