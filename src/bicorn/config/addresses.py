"""What a bind address looks like, and nothing of sockets.

    HOST:PORT   [::1]:PORT   :PORT   PORT   HOST   unix:PATH   fd://N

An empty host is every address of the machine (that is what ``:8000`` asks for), a port alone is the loopback
address, since serving a whole network has to be said. Port 0 lets the kernel choose.
"""

from __future__ import annotations

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

# sockaddr_un holds 108 bytes on Linux and 104 on macOS, with the closing NUL.
_UNIX_PATH_BYTES = 103


class Address:
    """Where to listen: ``kind`` is tcp, unix or fd, and says which of the other fields count."""

    __slots__ = ("fd", "host", "kind", "path", "port")

    def __init__(
        self, kind: str, *, host: str = "", port: int = 0, path: str = "", fd: int = -1
    ) -> None:
        self.kind = kind
        self.host = host
        self.port = port
        self.path = path
        self.fd = fd

    def __str__(self) -> str:
        """The canonical text; `parse_address` reads it back."""
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "fd":
            return f"fd://{self.fd}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Raises `ValueError` with the reason in one clause."""
    if text.startswith("unix:"):
        return Address("unix", path=_unix_path(text.removeprefix("unix:")))
    if text.startswith("fd://"):
        return Address("fd", fd=_number(text.removeprefix("fd://"), "descriptor", 2**31 - 1))
    if "/" in text:
        raise ValueError(
            f"is not an address: use unix:{text} for a Unix socket" if "://" not in text else _FORMS
        )
    if text.isdigit():
        return Address("tcp", host=DEFAULT_HOST, port=_port(text))
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            raise ValueError("is not an address: use [::1]:8000 for IPv6")
        return Address("tcp", host=host, port=_port(rest[1:]) if rest else DEFAULT_PORT)
    host, colon, port = text.rpartition(":")
    if not colon:
        return Address("tcp", host=_host(text), port=DEFAULT_PORT)
    if ":" in host:
        raise ValueError(f"is ambiguous: put an IPv6 address into brackets, as in [{host}]:{port}")
    return Address("tcp", host=_host(host) if host else "0.0.0.0", port=_port(port))


def compose_addresses(given: dict[str, str]) -> list[str]:
    """What uvicorn's ``--host``, ``--port``, ``--uds`` and ``--fd`` name together, as bind addresses."""
    if "--uds" in given:
        return [f"unix:{given['--uds']}"]
    if "--fd" in given:
        return [f"fd://{given['--fd']}"]
    host = given.get("--host", DEFAULT_HOST)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return [f"{host}:{given.get('--port', DEFAULT_PORT)}"]


ADDRESS_FORMS = "HOST:PORT, [::1]:PORT, unix:PATH or fd://N"
_FORMS = f"is not an address: use {ADDRESS_FORMS}"


def _host(text: str) -> str:
    if not text or not text.isprintable() or set(text) & set(" @%?#[]"):
        raise ValueError(_FORMS)
    return text


def _port(text: str) -> int:
    return _number(text, "port", 65535)


def _number(text: str, what: str, high: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:100]) > high:
        raise ValueError(f"has no valid {what} {text!r}: use a number from 0 to {high}")
    return int(text)


def _unix_path(path: str) -> str:
    import os

    # unix:///run/app.sock is what other programs call unix:/run/app.sock
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path:
        raise ValueError("names no path: use unix:/run/app.sock")
    if not path.isprintable():
        raise ValueError("contains what cannot be shown: use another path")
    path = os.path.abspath(path)
    if len(os.fsencode(path)) > _UNIX_PATH_BYTES:
        raise ValueError(
            f"is longer than the {_UNIX_PATH_BYTES} bytes that a Unix socket's path may have: use a shorter one"
        )
    return path
