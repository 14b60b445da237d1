"""Checks that the crates depend in one direction: py > engine > proto, and pyo3 stays in py.

Owns the rule of the Rust side, as the import-linter contracts own Python's. It must not know
what the crates do.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What a crate must not depend on, directly or through others.
FORBIDDEN = {
    # Sans-I/O: no interpreter, no runtime, no system calls, and nothing of the layers above.
    "bicorn-proto": {"pyo3", "pyo3-ffi", "tokio", "mio", "rustix", "bicorn-engine", "bicorn-py"},
    # Serves whatever implements its gateway trait, and does not know that this is Python.
    "bicorn-engine": {"pyo3", "pyo3-ffi", "tokio", "bicorn-py"},
}
MAY_NAME_PYO3 = "py"


def main() -> int:
    faults = [*forbidden_dependencies(), *named_pyo3()]
    for fault in faults:
        print(fault)
    if not faults:
        print("the crates keep to their layers")
    return 1 if faults else 0


def forbidden_dependencies() -> list[str]:
    return [
        f"{crate} must not depend on {name}: see `cargo tree -p {crate} -e normal -i {name}`"
        for crate, names in FORBIDDEN.items()
        for name in sorted(names & dependencies(crate))
    ]


def dependencies(crate: str) -> set[str]:
    """Names of all crates that ``crate`` is built with; what its tests need does not count."""
    command = ["cargo", "tree", "--locked", "--prefix", "none", "--edges", "normal,build"]
    tree = subprocess.run(
        [*command, "--package", crate, "--format", "{p}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return {line.split()[0] for line in tree.stdout.splitlines() if line}


def named_pyo3() -> list[str]:
    """Where a crate other than py names pyo3 in its code or its manifest; comments may."""
    faults = []
    for path in sorted([*ROOT.glob("crates/*/**/*.rs"), *ROOT.glob("crates/*/Cargo.toml")]):
        inside = path.relative_to(ROOT)
        if inside.parts[1] == MAY_NAME_PYO3:
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            code = re.split(r"//|#(?!\[)", line, maxsplit=1)[0]
            if "pyo3" in code:
                faults.append(f"{inside}:{number}: only crates/{MAY_NAME_PYO3} may name pyo3")
    return faults


if __name__ == "__main__":
    sys.exit(main())
