"""The servers: how each is started for a benchmark. Every one has one worker and no access log."""

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite.works import WORKS, Interface

LAUNCH = Path(__file__).resolve().parents[1] / "launch"


@dataclass(frozen=True)
class Target:
    """What a server is told: its interpreter, its application, its port, and a directory for its files."""

    python: str
    app: str
    port: int
    directory: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Server:
    """One measured server.

    ``package`` is the distribution that brings it; ``None`` is a program of the system, named like the server.
    ``hold`` makes it keep thousands of idle connections for a minute, where its defaults do not.
    """

    name: str
    interface: Interface
    package: str | None
    command: Callable[[Target], list[str]]
    hold: tuple[str, ...] = ()

    def version(self) -> str | None:
        """The installed version; ``None`` if it is not installed."""
        if self.package is None:
            return _program_version(self.name)
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return None


def _bicorn(interface: str, *options: str) -> Callable[[Target], list[str]]:
    def command(target: Target) -> list[str]:
        return [
            *(target.python, "-m", "bicorn", target.app),
            *("--interface", interface, "--bind", target.address, "--workers", "1"),
            *("--no-access-log", "--log-level", "warning", *options),
        ]

    return command


def _granian(interface: str, *options: str) -> Callable[[Target], list[str]]:
    def command(target: Target) -> list[str]:
        return [
            *(target.python, "-m", "granian", target.app, "--interface", interface),
            *("--host", "127.0.0.1", "--port", str(target.port), "--workers", "1"),
            *("--http", "1", "--no-ws", "--no-log", "--no-access-log", *options),
        ]

    return command


def _uvicorn(target: Target) -> list[str]:
    return [
        *(target.python, "-m", "uvicorn", target.app, "--host", "127.0.0.1"),
        *("--port", str(target.port), "--workers", "1", "--loop", "uvloop", "--http", "httptools"),
        *("--ws", "none", "--no-access-log", "--log-level", "warning"),
    ]


def _gunicorn(worker: str, *options: str) -> Callable[[Target], list[str]]:
    def command(target: Target) -> list[str]:
        return [
            *(target.python, "-m", "gunicorn", target.app, "--worker-class", worker),
            *("--bind", target.address, "--workers", "1", "--log-level", "warning"),
            *("--no-control-socket", *options),
        ]

    return command


def _hypercorn(target: Target) -> list[str]:
    return [
        *(target.python, "-m", "hypercorn", target.app, "--bind", target.address),
        *("--workers", "1", "--worker-class", "uvloop", "--log-level", "warning"),
    ]


def _launch(script: str) -> Callable[[Target], list[str]]:
    def command(target: Target) -> list[str]:
        return [target.python, str(LAUNCH / script), target.app, str(target.port)]

    return command


def _nginx(target: Target) -> list[str]:
    """nginx with a constant answer: the least that a request costs here."""
    (target.directory / "big").write_bytes(b"x" * WORKS["big"].body_length)
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = f"""
        {user}
        daemon off;
        worker_processes 1;
        pid nginx.pid;
        error_log stderr error;
        events {{ worker_connections 16384; }}
        http {{
            access_log off;
            keepalive_requests 1000000000;
            keepalive_timeout 1h;
            default_type text/plain;
            sendfile on;
            tcp_nopush on;
            open_file_cache max=10;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            server {{
                listen {target.address} backlog=4096;
                location = / {{ return 200 "Hello, World!"; }}
                location = /big {{ root {target.directory}; }}
            }}
        }}
    """
    path = target.directory / "nginx.conf"
    path.write_text(configuration)
    program = _program("nginx") or "nginx"
    return [program, "-e", "stderr", "-p", str(target.directory), "-c", str(path)]


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def _program_version(name: str) -> str | None:
    program = _program(name)
    if program is None:
        return None
    done = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().rpartition("/")[2] or None


SERVERS = {
    server.name: server
    for server in (
        Server(
            "bicorn-asgi",
            "asgi",
            "bicorn",
            _bicorn("asgi", "--loop", "uvloop"),
            hold=("--keep-alive-timeout", "60s"),
        ),
        Server("bicorn-asyncio", "asgi", "bicorn", _bicorn("asgi", "--loop", "asyncio")),
        Server(
            "granian-asgi",
            "asgi",
            "granian",
            _granian("asgi", "--loop", "uvloop"),
            hold=("--backpressure", "10000"),
        ),
        Server("uvicorn", "asgi", "uvicorn", _uvicorn, hold=("--timeout-keep-alive", "60")),
        Server("gunicorn-asgi", "asgi", "gunicorn", _gunicorn("asgi", "--asgi-loop", "uvloop")),
        Server("hypercorn", "asgi", "hypercorn", _hypercorn),
        Server("bicorn-wsgi", "wsgi", "bicorn", _bicorn("wsgi")),
        Server("granian-wsgi", "wsgi", "granian", _granian("wsgi", "--blocking-threads", "1")),
        Server("bjoern", "wsgi", "bjoern", _launch("bjoern_server.py")),
        Server("fastwsgi", "wsgi", "fastwsgi", _launch("fastwsgi_server.py")),
        Server("gunicorn-gthread", "wsgi", "gunicorn", _gunicorn("gthread", "--threads", "1")),
        Server("gunicorn-sync", "wsgi", "gunicorn", _gunicorn("sync")),
        Server("nginx", "none", None, _nginx),
    )
}
