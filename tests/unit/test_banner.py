"""The banner, as the operator reads it."""

import sys

from bicorn.banner import render
from bicorn.config import Config
from bicorn.gateway.loading import AppInfo

PYTHON = ".".join(map(str, sys.version_info[:3]))


def test_an_application_that_was_found_by_name() -> None:
    app = AppInfo("app", "shop:app", "asgi", "FastAPI", "1.2.3")
    assert render(app, Config(app="shop.py"), ["127.0.0.1:8000"], "uvloop") == (
        "  serving  shop:app (FastAPI 1.2.3, ASGI), found in shop.py\n"
        f"  with     1 worker, uvloop, Python {PYTHON}\n"
        "  at       http://127.0.0.1:8000\n"
        "  try      curl http://127.0.0.1:8000/\n"
    )


def test_several_workers_and_addresses() -> None:
    app = AppInfo("app", "shop:app", "wsgi")
    config = Config(app="shop:app", workers=4, loop="uvloop", root_path="/api")
    assert render(app, config, ["http://0.0.0.0:80", "unix:/run/shop.sock"]) == (
        "  serving  shop:app (WSGI)\n"
        f"  with     4 workers, Python {PYTHON}\n"
        "  at       http://0.0.0.0:80\n"
        "           unix:/run/shop.sock\n"
        "  try      curl http://127.0.0.1:80/api/\n"
    )


def test_the_command_for_a_unix_socket_and_for_every_ipv6_address() -> None:
    app = AppInfo("app", "shop:app", "asgi")
    config = Config(app="shop:app", loop="asyncio")
    assert render(app, config, ["unix:/x"]).endswith("curl --unix-socket /x http://localhost/\n")
    assert render(app, config, ["[::]:80"]).endswith("curl http://[::1]:80/\n")
    assert ", asyncio, " in render(app, config, [])
    assert "curl" not in render(app, config, [])
