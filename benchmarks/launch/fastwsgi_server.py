"""Serves APP with FastWSGI on a loopback port: `python fastwsgi_server.py MODULE:ATTRIBUTE PORT`.

FastWSGI never calls the `close()` of what an application returns, which PEP 3333 demands and which is a part of
Flask's and Django's work for a request. For these the launcher does it, so that every server does the same.
"""

import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any


def _closing(app: Callable[..., Any]) -> Callable[..., list[bytes]]:
    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        response: Iterable[bytes] = app(environ, start_response)
        try:
            return list(response)
        finally:
            if close := getattr(response, "close", None):
                close()

    return call


def main() -> None:
    # FastWSGI asks pkg_resources for its own version, and setuptools does not bring that module any more.
    stand_in = ModuleType("pkg_resources")
    stand_in.get_distribution = importlib.metadata.distribution  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stand_in
    fastwsgi = importlib.import_module("fastwsgi")

    module, _, attribute = sys.argv[1].partition(":")
    app = getattr(importlib.import_module(module), attribute)
    # The plain application returns lists and generators, and those have nothing to close.
    if module != "benchmarks.apps.wsgi":
        app = _closing(app)
    fastwsgi.run(wsgi_app=app, host="127.0.0.1", port=int(sys.argv[2]))


if __name__ == "__main__":
    main()
