"""The works: what is asked of every server, and which application answers. Knows no server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Interface = Literal["asgi", "wsgi", "none"]


@dataclass(frozen=True)
class Work:
    """One kind of request. A server of an interface that ``apps`` lacks does not take part.

    ``none`` is a server without an application: it may take part where ``static`` says so.
    """

    name: str
    meaning: str
    request: bytes
    body_length: int
    apps: Mapping[Interface, str]
    static: bool = False

    def suits(self, interface: Interface) -> bool:
        return self.static if interface == "none" else interface in self.apps


def _request(line: str, fields: tuple[str, ...] = (), body: bytes = b"") -> bytes:
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *fields, "", ""])
    return head.encode("ascii") + body


# What a desktop browser sends with a page it follows a link to: 13 fields with Host.
_BROWSER_FIELDS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://localhost/catalogue/books?page=3",
    "Connection: keep-alive",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Cache-Control: max-age=0",
    "Cookie: sessionid=q8wz3n1y7d5k2m6x0v4b9c; csrftoken=Zb4Tn8Wq2Xs6Vd1Lk5; theme=dark; "
    "consent=essential",
)

_PLAIN: Mapping[Interface, str] = {
    "asgi": "benchmarks.apps.asgi:app",
    "wsgi": "benchmarks.apps.wsgi:app",
}

WORKS = {
    work.name: work
    for work in (
        Work("hello", "GET with a Host field alone", _request("GET /"), 13, _PLAIN, static=True),
        Work(
            "browser",
            "GET with a browser's 13 header fields",
            _request("GET /", _BROWSER_FIELDS),
            13,
            _PLAIN,
            static=True,
        ),
        Work(
            "echo1k",
            "POST of 1 KiB that comes back",
            _request("POST /echo", ("Content-Length: 1024",), b"x" * 1024),
            1024,
            _PLAIN,
        ),
        Work("big", "answer of 100 kB", _request("GET /big"), 100_000, _PLAIN, static=True),
        Work("stream", "answer in 20 blocks of 500 bytes", _request("GET /stream"), 10_000, _PLAIN),
        Work(
            "flask",
            "Flask, one route",
            _request("GET /"),
            13,
            {"wsgi": "benchmarks.apps.flask_app:app"},
        ),
        Work(
            "fastapi",
            "FastAPI, one route, JSON",
            _request("GET /"),
            27,
            {"asgi": "benchmarks.apps.fastapi_app:app"},
        ),
        Work(
            "django",
            "Django, one route",
            _request("GET /"),
            13,
            {
                "asgi": "benchmarks.apps.django_asgi:app",
                "wsgi": "benchmarks.apps.django_wsgi:app",
            },
        ),
    )
}
