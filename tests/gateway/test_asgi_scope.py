"""The HTTP connection scope (asgiref, HTTP 2.5): every key, its type and its value."""

import json
from typing import Any

from tests.support.server import Server, serving
from tests.support.wire import Wire, request

from .conftest import APPS, QUIET


def facts(server: Server, data: bytes) -> tuple[dict[str, Any], dict[str, str], tuple[str, int]]:
    with Wire(server.address) as wire:
        answer = wire.send(data).answer()
        assert answer.status == 200
        found = json.loads(answer.body)
        return found["scope"], found["kinds"], wire.socket.getsockname()


def test_every_key_has_its_type(asgi: Server) -> None:
    scope, kinds, _ = facts(asgi, request("/scope-facts"))
    assert kinds == {
        "type": "str",
        "asgi": "dict",
        "http_version": "str",
        "server": "tuple",
        "client": "tuple",
        "scheme": "str",
        "method": "str",
        "root_path": "str",
        "path": "str",
        "raw_path": "bytes",
        "query_string": "bytes",
        "headers": "list",
        "headers' items": "tuple",
        "state": "dict",
    }
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}


def test_every_key_has_its_value(asgi: Server) -> None:
    data = b"GET /scope%2Dfacts?a=%20b HTTP/1.1\r\nHost: test\r\nX-A: \xe4\r\nX-a: c\r\nCookie: d\r\n\r\n"
    scope, _, own_address = facts(asgi, data)
    assert scope["type"] == "http"
    assert scope["http_version"] == "1.1"
    assert scope["server"] == list(asgi.address)
    assert scope["client"] == list(own_address)
    assert scope["scheme"] == "http"
    assert scope["method"] == "GET"
    assert scope["root_path"] == ""
    assert scope["path"] == "/scope-facts"
    assert scope["raw_path"] == {"bytes": "/scope%2Dfacts"}
    assert scope["query_string"] == {"bytes": "a=%20b"}
    assert [[name["bytes"], value["bytes"]] for name, value in scope["headers"]] == [
        ["host", "test"],
        ["x-a", "\xe4"],
        ["x-a", "c"],
        ["cookie", "d"],
    ]


def test_http_1_0(asgi: Server) -> None:
    scope, _, _ = facts(asgi, b"GET /scope-facts HTTP/1.0\r\n\r\n")
    assert (scope["http_version"], scope["headers"]) == ("1.0", [])


def test_the_path_is_utf8(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        assert wire.send(request("/a%0Ab")).answer().status == 500
    # The line of the log holds the path as it was sent: one line, whatever it decodes to.
    line = asgi.wait_for_log(r"^.*GET /a.*failed").group()
    assert "/a%0Ab HTTP/1.1" in line


def test_the_state_is_copied_for_each_request(asgi: Server) -> None:
    with Wire(asgi.address) as wire:
        first, second = (json.loads(wire.send(request("/state")).answer().body) for _ in range(2))
    assert (first[0], second[0]) == (1, 1)
    assert second[1] == first[1] + 1


def test_the_root_path() -> None:
    options = (*QUIET, "--root-path=/mounted")
    with serving("scope_only:app", *options, cwd=APPS) as server:
        scope, kinds, _ = facts(server, request("/a%20b"))
        assert (scope["root_path"], scope["path"]) == ("/mounted", "/mounted/a b")
        # Without lifespan there is no state to copy.
        assert "state" not in kinds
