"""What the terminal shows when the first worker is ready: what is served, how, where, and what to type next.

A pure function of what it is given. Knows neither processes nor sockets.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bicorn.config import Config
    from bicorn.gateway.loading import AppInfo


def render(app: AppInfo, config: Config, addresses: Sequence[str], loop: str = "") -> str:
    """The text, newline included.

    ``addresses`` are what is listened on, with the ports that the kernel chose: ``http://HOST:PORT``,
    ``HOST:PORT`` or ``unix:PATH``. ``loop`` is the event loop that the worker runs, where it is known.
    """
    urls = [_url(address) for address in addresses]
    rows = [
        ("serving", _what(app, config)),
        ("with", _how(app, config, loop)),
        *(("at" if index == 0 else "", url) for index, url in enumerate(urls)),
    ]
    if urls:
        rows.append(("try", _next_command(urls[0], config.root_path)))
    return "".join(f"  {label:<8} {text}\n" for label, text in rows)


def _what(app: AppInfo, config: Config) -> str:
    made_with = f"{app.framework} {app.version}".strip()
    text = f"{app.target} ({f'{made_with}, ' if made_with else ''}{app.interface.upper()})"
    found_by_name = ":" not in config.app
    return f"{text}, found in {config.app}" if found_by_name else text


def _how(app: AppInfo, config: Config, loop: str) -> str:
    workers = "1 worker" if config.workers == 1 else f"{config.workers} workers"
    known_loop = loop or (config.loop if config.loop != "auto" else "")
    parts = [workers]
    if app.interface == "asgi" and known_loop:
        parts.append(known_loop)
    version = ".".join(map(str, sys.version_info[:3]))
    parts.append(f"Python {version}")
    return ", ".join(parts)


def _url(address: str) -> str:
    return (
        address
        if address.startswith(("unix:", "http://", "https://", "fd://"))
        else f"http://{address}"
    )


def _next_command(url: str, root_path: str) -> str:
    path = f"{root_path}/"
    if url.startswith("unix:"):
        return f"curl --unix-socket {url.removeprefix('unix:')} http://localhost{path}"
    # Every address of the machine is not one that can be asked for.
    reachable = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    return f"curl {reachable}{path}"
