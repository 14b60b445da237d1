"""Serves APP with bjoern on a loopback port: `python bjoern_server.py MODULE:ATTRIBUTE PORT`."""

import importlib
import sys


def main() -> None:
    bjoern = importlib.import_module("bjoern")
    module, _, attribute = sys.argv[1].partition(":")
    app = getattr(importlib.import_module(module), attribute)
    bjoern.run(app, "127.0.0.1", int(sys.argv[2]))


if __name__ == "__main__":
    main()
