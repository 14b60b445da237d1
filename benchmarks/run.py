"""Measures Bicorn beside its peers: `python benchmarks/run.py --help`. docs/benchmarks.md says what and why."""

import sys
from pathlib import Path


def main() -> int:
    # A script finds its own directory first; the package is one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.suite.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
