"""Writes requirements/NAME.txt from requirements/NAME.in: every package of the closure, pinned.

Owns how pins are made. Run it with the oldest Python that Bicorn supports: newer ones then find
everything they need in the same set. It must not know what the packages are for.

    python tools/pins.py build test bench
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"

# Each environment brings its own installer.
NOT_PINNED = ("pip==",)


def main(names: list[str]) -> int:
    for name in names:
        source = REQUIREMENTS / f"{name}.in"
        pins = resolve(source)
        text = f"# Written by `make pins` from {source.name}: edit that file.\n" + "\n".join(pins)
        source.with_suffix(".txt").write_text(text + "\n")
        print(f"requirements/{name}.txt: {len(pins)} packages")
    return 0


def resolve(source: Path) -> list[str]:
    """The newest set that satisfies ``source``, as an empty environment gets it."""
    with tempfile.TemporaryDirectory() as directory:
        venv.create(directory, with_pip=True)
        pip = [f"{directory}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        # What the environment came with is nothing that the packages asked for.
        subprocess.run([*pip, "uninstall", "--quiet", "--yes", "setuptools"], check=True)
        subprocess.run([*pip, "install", "--quiet", "--requirement", str(source)], check=True)
        frozen = subprocess.run(
            [*pip, "freeze", "--all"], check=True, stdout=subprocess.PIPE, text=True
        )
    return [line for line in frozen.stdout.splitlines() if not line.startswith(NOT_PINNED)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
