"""Every refusal on the wire: its status, one answer, and a connection that ends without a reset.

That the parser refuses the same is tested in `crates/proto`; here the answer has to reach the client.
"""

import pytest

from tests.support.server import Server
from tests.support.wire import Wire, request

HOST = b"Host: test\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def with_line(line: bytes) -> bytes:
    return line + b"\r\n" + HOST + b"\r\n"


def with_fields(*fields: bytes, method: bytes = b"POST", version: bytes = b"1.1") -> bytes:
    head = method + b" /echo HTTP/" + version + b"\r\n" + HOST
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


REQUEST_LINES = {
    "no target": (400, with_line(b"GET")),
    "no version": (400, with_line(b"GET /")),
    "two spaces": (400, with_line(b"GET  / HTTP/1.1")),
    "leading space": (400, with_line(b" GET / HTTP/1.1")),
    "trailing word": (400, with_line(b"GET / HTTP/1.1 more")),
    "tab between": (400, with_line(b"GET\t/\tHTTP/1.1")),
    "method no token": (400, with_line(b"G(T / HTTP/1.1")),
    "version in lower case": (400, with_line(b"GET / http/1.1")),
    "version with two digits": (400, with_line(b"GET / HTTP/1.10")),
    "another protocol": (400, with_line(b"GET / ICY/1.1")),
    "HTTP/2.0": (505, with_line(b"GET / HTTP/2.0")),
    "HTTP/1.2": (505, with_line(b"GET / HTTP/1.2")),
    "a TLS handshake": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "two empty lines first": (400, b"\r\n\r\n" + with_line(b"GET / HTTP/1.1")),
    "a bare line feed first": (400, b"\n" + with_line(b"GET / HTTP/1.1")),
    "relative target": (400, with_line(b"GET path HTTP/1.1")),
    "fragment": (400, with_line(b"GET /path#part HTTP/1.1")),
    "control character in the target": (400, with_line(b"GET /a\x01b HTTP/1.1")),
    "asterisk without OPTIONS": (400, with_line(b"GET * HTTP/1.1")),
    "another scheme": (400, with_line(b"GET ftp://test/ HTTP/1.1")),
    "user information in the target": (400, with_line(b"GET http://me@test/ HTTP/1.1")),
    "authority form": (501, with_line(b"CONNECT test:443 HTTP/1.1")),
    "CONNECT to a path": (400, with_line(b"CONNECT / HTTP/1.1")),
}

FIELDS = {
    "space before the colon": (400, with_fields(b"X-A : b")),
    "tab before the colon": (400, with_fields(b"X-A\t: b")),
    "no colon": (400, with_fields(b"X-A")),
    "empty name": (400, with_fields(b": b")),
    "control character in a name": (400, with_fields(b"X-\x01A: b")),
    "folded line": (400, with_fields(b"X-A: b", b" c")),
    "NUL in a value": (400, with_fields(b"X-A: b\0c")),
    "bare CR in a value": (400, with_fields(b"X-A: b\rc")),
    "bare line feeds": (400, b"GET / HTTP/1.1\nHost: test\n\n"),
    "one bare line feed": (400, b"GET / HTTP/1.1\r\nHost: test\nX-A: b\r\n\r\n"),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, with_fields(b"Host: other", method=b"GET")),
    "two Hosts alike": (400, with_fields(b"Host: test", method=b"GET")),
    "space in Host": (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "path in Host": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "user information in Host": (400, b"GET / HTTP/1.1\r\nHost: me@a\r\n\r\n"),
    "port no number": (400, b"GET / HTTP/1.1\r\nHost: a:http\r\n\r\n"),
    "unknown expectation": (417, with_fields(b"Expect: a-miracle", b"Content-Length: 1")),
}

FRAMING = {
    "length with a sign": (400, with_fields(b"Content-Length: +5") + b"hello"),
    "negative length": (400, with_fields(b"Content-Length: -1")),
    "hexadecimal length": (400, with_fields(b"Content-Length: 0x5") + b"hello"),
    "length with a fraction": (400, with_fields(b"Content-Length: 5.0") + b"hello"),
    "empty length": (400, with_fields(b"Content-Length:")),
    "listed length": (400, with_fields(b"Content-Length: 5, 5") + b"hello"),
    "two lengths": (400, with_fields(b"Content-Length: 5", b"Content-Length: 6") + b"hello"),
    "two lengths alike": (400, with_fields(b"Content-Length: 5", b"Content-Length: 5") + b"hello"),
    "length beyond 64 bits": (413, with_fields(b"Content-Length: 18446744073709551616")),
    "length and coding": (
        400,
        with_fields(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ),
    "coding in HTTP/1.0": (400, with_fields(b"Transfer-Encoding: chunked", version=b"1.0")),
    "empty coding": (400, with_fields(b"Transfer-Encoding:")),
    "chunked twice": (400, with_fields(b"Transfer-Encoding: chunked, chunked")),
    "chunked not last": (400, with_fields(b"Transfer-Encoding: chunked, gzip")),
    "unknown coding": (501, with_fields(b"Transfer-Encoding: gzip, chunked")),
    "almost chunked": (501, with_fields(b"Transfer-Encoding: xchunked")),
    "identity": (501, with_fields(b"Transfer-Encoding: identity")),
}

CHUNKS = {
    "size no number": CHUNKED + b"g\r\n",
    "size with a sign": CHUNKED + b"+1\r\na\r\n0\r\n\r\n",
    "negative size": CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "size with a prefix": CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    "size behind a space": CHUNKED + b" 1\r\na\r\n0\r\n\r\n",
    "no size": CHUNKED + b"\r\n",
    "size beyond 64 bits": CHUNKED + b"10000000000000000\r\na",
    "size ends in a bare line feed": CHUNKED + b"1\na\r\n0\r\n\r\n",
    "data longer than its size": CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "data ends in a bare line feed": CHUNKED + b"1\r\na\n0\r\n\r\n",
    "control character in an extension": CHUNKED + b"1;a=\x01\r\na\r\n0\r\n\r\n",
    "bare CR in an extension": CHUNKED + b'1;a="\r"\r\na\r\n0\r\n\r\n',
    "too many extensions": CHUNKED + b"1;" + b"a" * 5000 + b"\r\na\r\n0\r\n\r\n",
    "trailer without a colon": CHUNKED + b"0\r\nX-A\r\n\r\n",
    "control character in a trailer": CHUNKED + b"0\r\nX-A: \x01\r\n\r\n",
    "too long a trailer section": CHUNKED + b"0\r\nX-A: " + b"a" * 9000 + b"\r\n\r\n",
}

REFUSALS = {
    **REQUEST_LINES,
    **FIELDS,
    **FRAMING,
    **{name: (400, data) for name, data in CHUNKS.items()},
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_has_its_status_and_ends_the_connection(server: Server, name: str) -> None:
    status, data = REFUSALS[name]
    with Wire(server.address) as wire:
        answer = wire.send(data).answer()
        assert (answer.status, answer.complete) == (status, True)
        assert answer.header("connection") == "close"
        assert answer.header("content-type") == "text/plain; charset=utf-8"
        assert wire.is_closed()


@pytest.mark.parametrize("name", REFUSALS)
def test_answers_before_a_refusal_are_delivered(server: Server, name: str) -> None:
    status, data = REFUSALS[name]
    with Wire(server.address) as wire:
        wire.send(request("/stream") + request("/echo", method="POST", body=b"abc") + data)
        answers = [wire.answer() for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, status]
        assert [answer.body for answer in answers[:2]] == [b"onetwo", b"abc"]
        assert wire.is_closed()


def test_what_follows_a_refused_request_is_no_request(server: Server) -> None:
    with Wire(server.address) as wire:
        wire.send(FIELDS["no Host"][1] + request())
        assert wire.answer().status == 400
        assert wire.is_closed()
