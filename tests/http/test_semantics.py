"""What a request's parts mean, and what an answer carries (RFC 9110)."""

import email.utils
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.server import Server
from tests.support.wire import Answer, Wire, request


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with Wire(server.address) as wire:
        yield wire


def facts_of(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200
    facts: dict[str, Any] = json.loads(answer.body)
    facts["headers"] = dict(facts["headers"])
    return facts


def send_line(wire: Wire, line: str, *headers: str) -> dict[str, Any]:
    head = "\r\n".join((line, *(headers or ("Host: test",)), "", ""))
    return facts_of(wire.send(head.encode("latin-1")).answer())


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_a_method_reaches_the_application(wire: Wire, method: str) -> None:
    facts = send_line(wire, f"{method} /request?a=b&c HTTP/1.1")
    assert (facts["method"], facts["path"], facts["query"]) == (method, "/request", "a=b&c")


def test_a_method_keeps_its_case(wire: Wire) -> None:
    assert send_line(wire, "get /request HTTP/1.1")["method"] == "get"


def test_the_version_reaches_the_application(wire: Wire) -> None:
    assert send_line(wire, "GET /request HTTP/1.1")["version"] == "1.1"
    assert send_line(wire, "GET /request HTTP/1.0")["version"] == "1.0"


def test_the_absolute_form_replaces_the_host(wire: Wire) -> None:
    facts = send_line(wire, "GET http://other:81/request?x HTTP/1.1")
    assert (facts["path"], facts["query"]) == ("/request", "x")
    assert facts["headers"]["host"] == "other:81"


def test_an_absolute_form_without_a_path_is_the_root(wire: Wire) -> None:
    assert wire.send(b"GET http://test HTTP/1.1\r\nHost: test\r\n\r\n").answer().body == b"hello"


def test_the_asterisk_form(wire: Wire) -> None:
    assert wire.send(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n").answer().status == 200


@pytest.mark.parametrize("host", ["", "test", "test:8080", "[::1]", "[::1]:80", "a_b.test"])
def test_acceptable_hosts(wire: Wire, host: str) -> None:
    facts = send_line(wire, "GET /request HTTP/1.1", f"Host: {host}")
    assert facts["headers"]["host"] == host


def test_http_1_0_needs_no_host(wire: Wire) -> None:
    assert wire.send(b"GET / HTTP/1.0\r\n\r\n").answer().status == 200


def test_a_path_is_decoded(wire: Wire) -> None:
    assert wire.send(request("/%72%65quest?%72")).answer().status == 200
    facts = send_line(wire, "GET /%72equest?%72 HTTP/1.1")
    assert (facts["path"], facts["query"]) == ("/request", "%72")


def test_fields_whose_name_has_an_underscore_are_dropped(wire: Wire) -> None:
    fields = ("Host: test", "X_Forwarded_For: evil", "X-Forwarded-For: good", "Content_Length: 5")
    headers = send_line(wire, "GET /request HTTP/1.1", *fields)["headers"]
    assert headers == {"host": "test", "x-forwarded-for": "good"}


def test_an_upgrade_is_ignored(wire: Wire) -> None:
    fields = ("Host: test", "Connection: Upgrade", "Upgrade: h2c, websocket")
    assert send_line(wire, "GET /request HTTP/1.1", *fields)["path"] == "/request"
    assert wire.send(request()).answer().status == 200


def test_white_space_around_a_value_is_no_part_of_it(wire: Wire) -> None:
    headers = send_line(wire, "GET /request HTTP/1.1", "Host:test", "X-A: \t b c \t ")["headers"]
    assert headers["x-a"] == "b c"


@pytest.mark.parametrize("path", ["/", "/stream", "/status?404"])
def test_head_has_the_fields_of_get_and_no_body(wire: Wire, path: str) -> None:
    wire.send(request(path, method="HEAD") + request(path))
    head, get = wire.answer("HEAD"), wire.answer()
    assert head.status == get.status
    if get.header("content-length"):
        assert head.header("content-length") == get.header("content-length")
    assert get.body


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body(wire: Wire, status: int) -> None:
    wire.send(request(f"/status?{status}") + request())
    answer = wire.answer()
    assert answer.status == status
    assert answer.header("transfer-encoding") is None
    assert answer.header("content-length") is None
    assert wire.answer().body == b"hello"


@pytest.mark.parametrize("status", [200, 201, 206, 299, 404, 418, 500, 599, 999])
def test_a_status_with_a_body(wire: Wire, status: int) -> None:
    answer = wire.send(request(f"/status?{status}")).answer()
    assert (answer.status, answer.body) == (status, b"not for the wire")


def test_date_and_server_are_added(wire: Wire) -> None:
    answer = wire.send(request()).answer()
    assert answer.header("server") == "bicorn"
    date = answer.header("date") or ""
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) < 5


def test_the_applications_own_date_and_server_stay(wire: Wire) -> None:
    answer = wire.send(request("/own-fields")).answer()
    assert (answer.header("date"), answer.header("server")) == ("yesterday", "mine")


def test_date_and_server_can_be_switched_off(frugal: Server) -> None:
    with Wire(frugal.address) as wire:
        answer = wire.send(request()).answer()
        assert (answer.header("date"), answer.header("server")) == (None, None)
