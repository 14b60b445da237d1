"""Serves APP with FastWSGI on a loopback port: `python fastwsgi_server.py MODULE:ATTRIBUTE PORT`."""

import importlib
import importlib.metadata
import sys
from types import ModuleType


def main() -> None:
    # FastWSGI asks pkg_resources for its own version, and setuptools does not bring that module any more.
    stand_in = ModuleType("pkg_resources")
    stand_in.get_distribution = importlib.metadata.distribution  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stand_in
    fastwsgi = importlib.import_module("fastwsgi")

    module, _, attribute = sys.argv[1].partition(":")
    app = getattr(importlib.import_module(module), attribute)
    fastwsgi.run(wsgi_app=app, host="127.0.0.1", port=int(sys.argv[2]))


if __name__ == "__main__":
    main()
