"""Real HTTP clients behind one small interface, each used as its documentation shows.

Owns how a client is called; knows nothing of the server or of what is tested.
"""

import asyncio
import gzip
import http.client
import io
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import httpx
import requests

PATIENCE = 30.0
CHUNK = 10_000


@dataclass
class Reply:
    """``headers`` has lower-case names; ``body`` is decoded, as far as the client decodes it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client(Protocol):
    """``url`` is the server's, without a path. One client is one session: it may keep its connection."""

    keeps_alive: bool

    def __init__(self, url: str) -> None: ...
    def close(self) -> None: ...
    def get(self, path: str) -> Reply: ...
    def head(self, path: str) -> Reply: ...
    def form(self, path: str, fields: dict[str, str]) -> Reply: ...
    def put(self, path: str, data: bytes) -> Reply:
        """An upload of a known length."""

    def put_chunked(self, path: str, data: bytes) -> Reply:
        """An upload whose length is not said before."""

    def break_off(self, path: str) -> None:
        """Reads some of an answer, and closes the connection."""

    def twice(self, path: str) -> tuple[Reply, Reply]:
        """Two requests, one after the other."""
        return self.get(path), self.get(path)


def chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


class Httpx(Client):
    keeps_alive = True

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def get(self, path: str) -> Reply:
        return self._reply(self._client.get(path))

    def head(self, path: str) -> Reply:
        return self._reply(self._client.head(path))

    def form(self, path: str, fields: dict[str, str]) -> Reply:
        return self._reply(self._client.post(path, data=fields))

    def put(self, path: str, data: bytes) -> Reply:
        return self._reply(self._client.put(path, content=data))

    def put_chunked(self, path: str, data: bytes) -> Reply:
        return self._reply(self._client.put(path, content=chunks(data)))

    def break_off(self, path: str) -> None:
        with self._client.stream("GET", path) as response:
            next(response.iter_bytes())

    def _reply(self, response: httpx.Response) -> Reply:
        return Reply(response.status_code, response.headers, response.content)


class Requests(Client):
    keeps_alive = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def get(self, path: str) -> Reply:
        return self._request("GET", path)

    def head(self, path: str) -> Reply:
        return self._request("HEAD", path)

    def form(self, path: str, fields: dict[str, str]) -> Reply:
        return self._request("POST", path, data=fields)

    def put(self, path: str, data: bytes) -> Reply:
        return self._request("PUT", path, data=data)

    def put_chunked(self, path: str, data: bytes) -> Reply:
        return self._request("PUT", path, data=chunks(data))

    def break_off(self, path: str) -> None:
        with self._session.get(self._url + path, stream=True, timeout=PATIENCE) as response:
            next(response.iter_content(1000))

    def _request(self, method: str, path: str, **arguments: Any) -> Reply:
        response = self._session.request(method, self._url + path, timeout=PATIENCE, **arguments)
        return Reply(response.status_code, response.headers, response.content)


class Aiohttp(Client):
    keeps_alive = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._session = self._runner.run(self._enter())

    async def _enter(self) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        return await self._open.enter_async_context(aiohttp.ClientSession(timeout=timeout))

    def close(self) -> None:
        self._runner.run(self._open.aclose())
        self._runner.close()

    def get(self, path: str) -> Reply:
        return self._runner.run(self._request("GET", path))

    def head(self, path: str) -> Reply:
        return self._runner.run(self._request("HEAD", path))

    def form(self, path: str, fields: dict[str, str]) -> Reply:
        return self._runner.run(self._request("POST", path, data=fields))

    def put(self, path: str, data: bytes) -> Reply:
        return self._runner.run(self._request("PUT", path, data=io.BytesIO(data), expect100=True))

    def put_chunked(self, path: str, data: bytes) -> Reply:
        async def source() -> AsyncIterator[bytes]:
            for chunk in chunks(data):
                yield chunk

        return self._runner.run(self._request("PUT", path, data=source()))

    def break_off(self, path: str) -> None:
        async def run() -> None:
            async with self._session.get(self._url + path) as response:
                await response.content.readany()

        self._runner.run(run())

    async def _request(self, method: str, path: str, **arguments: Any) -> Reply:
        async with self._session.request(method, self._url + path, **arguments) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, headers, await response.read())


class HttpClient(Client):
    """The standard library's `http.client`."""

    keeps_alive = True

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> Reply:
        return self._request("GET", path, headers={"Accept-Encoding": "gzip"})

    def head(self, path: str) -> Reply:
        return self._request("HEAD", path)

    def form(self, path: str, fields: dict[str, str]) -> Reply:
        content_type = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._request("POST", path, urllib.parse.urlencode(fields), content_type)

    def put(self, path: str, data: bytes) -> Reply:
        return self._request("PUT", path, data)

    def put_chunked(self, path: str, data: bytes) -> Reply:
        return self._request("PUT", path, chunks(data))

    def break_off(self, path: str) -> None:
        self._connection.request("GET", path)
        self._connection.getresponse().read(1000)
        self._connection.close()

    def _request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        self._connection.request(method, path, body, dict(headers or {}))
        return decoded(self._connection.getresponse())


class Urllib(Client):
    """The standard library's `urllib.request`, which asks for the connection to be closed."""

    keeps_alive = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def close(self) -> None:
        self._opener.close()

    def get(self, path: str) -> Reply:
        return self._request("GET", path, headers={"Accept-Encoding": "gzip"})

    def head(self, path: str) -> Reply:
        return self._request("HEAD", path)

    def form(self, path: str, fields: dict[str, str]) -> Reply:
        return self._request("POST", path, urllib.parse.urlencode(fields).encode())

    def put(self, path: str, data: bytes) -> Reply:
        return self._request("PUT", path, data)

    def put_chunked(self, path: str, data: bytes) -> Reply:
        return self._request("PUT", path, chunks(data))

    def break_off(self, path: str) -> None:
        with self._opener.open(self._url + path, timeout=PATIENCE) as response:
            response.read(1000)

    def _request(
        self, method: str, path: str, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        request = urllib.request.Request(self._url + path, data, dict(headers or {}), method=method)
        try:
            response = self._opener.open(request, timeout=PATIENCE)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return decoded(response)


class Curl(Client):
    """The program, once for each request."""

    keeps_alive = True

    def __init__(self, url: str) -> None:
        self._url = url

    def close(self) -> None:
        pass

    def get(self, path: str) -> Reply:
        return self._run(path)[0]

    def head(self, path: str) -> Reply:
        return self._run(path, "--head")[0]

    def form(self, path: str, fields: dict[str, str]) -> Reply:
        pairs = [f"{name}={value}" for name, value in fields.items()]
        return self._run(path, *(part for pair in pairs for part in ("--data-urlencode", pair)))[0]

    def put(self, path: str, data: bytes) -> Reply:
        # Over a MiB curl asks for 100 Continue, and waits for it; the limit here would end the test.
        waiting = ("--expect100-timeout", str(PATIENCE))
        return self._run(path, "-X", "PUT", *waiting, "--data-binary", "@-", data=data)[-1]

    def put_chunked(self, path: str, data: bytes) -> Reply:
        return self._run(path, "--upload-file", "-", data=data)[-1]

    def break_off(self, path: str) -> None:
        with subprocess.Popen(
            [*self._command(), self._url + path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            process.stdout.read(1000)
            process.kill()

    def twice(self, path: str) -> tuple[Reply, Reply]:
        first, second = self._run(path, self._url + path)
        return first, second

    def interim(self, path: str, data: bytes) -> list[int]:
        """The statuses of all responses to an upload, the interim ones too."""
        waiting = ("--expect100-timeout", str(PATIENCE), "-H", "Expect: 100-continue")
        return [
            reply.status
            for reply in self._run(path, "-X", "PUT", *waiting, "--data-binary", "@-", data=data)
        ]

    def _command(self) -> list[str]:
        return ["curl", "--silent", "--show-error", "--noproxy", "*", "-q", "--compressed"]

    def _run(self, path: str, *arguments: str, data: bytes = b"") -> list[Reply]:
        done = subprocess.run(
            [*self._command(), "--include", self._url + path, *arguments],
            input=data,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return list(parsed(done.stdout))


def parsed(output: bytes) -> Iterator[Reply]:
    """The responses as ``curl --include`` prints them: bodies decoded, of the length that is left."""
    while output:
        head, _, output = output.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        pairs = (field.partition(": ") for field in fields)
        headers = {name.lower(): value for name, _, value in pairs}
        end = output.find(b"HTTP/1.1 ")
        body, output = (output, b"") if end < 0 else (output[:end], output[end:])
        yield Reply(int(line.split(" ")[1]), headers, body)


def decoded(response: Any) -> Reply:
    """What the standard library leaves to its user."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    body = response.read()
    if headers.get("content-encoding") == "gzip" and body:
        body = gzip.decompress(body)
    return Reply(response.status, headers, body)


CLIENTS: dict[str, type[Client]] = {
    "aiohttp": Aiohttp,
    "curl": Curl,
    "http.client": HttpClient,
    "httpx": Httpx,
    "requests": Requests,
    "urllib": Urllib,
}
