"""Runs all that continuous integration runs, and sums it up: what passed, failed or was skipped.

Owns the list of checks and their order. It must not know how one of them works: each is a command
that exits with 0 (passed), 77 (skipped, its reason printed) or anything else (failed). A failure
does not end the run, so that one run shows everything.

    python tools/check.py                        everything, on each supported CPython
    python tools/check.py --static --venv .venv  only what runs no test, in an environment that is built
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ("3.11", "3.12", "3.13")
SKIPPED = 77


@dataclass(frozen=True)
class Check:
    """One command. ``note`` stands in the summary: the closing line of its output where ``tell`` is set."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    tell: bool = False


@dataclass(frozen=True)
class Outcome:
    name: str
    status: int
    seconds: float
    note: str = ""

    @property
    def word(self) -> str:
        return {0: "passed", SKIPPED: "SKIPPED"}.get(self.status, "FAILED")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--static", action="store_true", help="only what runs no test")
    parser.add_argument("--venv", default=".venv", help="the environment of --static")
    options = parser.parse_args()

    outcomes: list[Outcome] = []
    if options.static:
        outcomes += run_all(static_checks(Path(options.venv)))
    else:
        outcomes += check_everything()
    summarise(outcomes)
    return 1 if any(outcome.word == "FAILED" for outcome in outcomes) else 0


def check_everything() -> Iterator[Outcome]:
    interpreters = {version: find_python(version) for version in SUPPORTED}
    present = {version: path for version, path in interpreters.items() if path}
    if not present:
        yield Outcome("CPython", 1, 0.0, f"none of {', '.join(SUPPORTED)} found")
        return

    # The oldest one sees what is too new for it.
    oldest = next(iter(present))
    yield run(make(f"build, CPython {oldest}", ["build", "tested-with"], oldest, present[oldest]))
    yield from run_all(static_checks(venv_of(oldest)))
    yield run(Check("cargo test", ["make", "--no-print-directory", "test-rust"]))
    python = str(ROOT / venv_of(oldest) / "bin" / "python")
    yield run(Check("fuzz", [python, "tools/fuzz.py", "--seconds", "60"], tell=True))
    for version, path in interpreters.items():
        name = f"pytest, CPython {version}"
        if path is None:
            yield Outcome(name, SKIPPED, 0.0, f"there is no CPython {version} on this machine")
        else:
            yield run(make(name, ["test-python"], version, path, tell=True))
    for target in ("wheel-test", "sdist-test"):
        yield run(make(target, [target], oldest, present[oldest], tell=True))


def static_checks(venv: Path) -> Iterator[Check]:
    """What runs no test. Everything here takes its settings from pyproject.toml or Cargo.toml."""
    python = str(ROOT / venv / "bin" / "python")
    tool = ROOT / venv / "bin"
    for_rust = {"PYO3_PYTHON": python}

    yield Check("rustfmt", ["cargo", "fmt", "--all", "--check"])
    clippy = ["cargo", "clippy", "--quiet", "--locked", "--workspace", "--all-targets"]
    yield Check("clippy", [*clippy, "--", "--deny", "warnings"], for_rust)
    yield Check("crate layers", [python, "tools/crate_layers.py"])
    yield Check("ruff format", [str(tool / "ruff"), "format", "--check", "."])
    yield Check("ruff", [str(tool / "ruff"), "check", "."])
    yield Check("mypy", [str(tool / "mypy")])
    yield Check("import-linter", [str(tool / "lint-imports"), "--no-logo"])
    yield Check("stubtest", [str(tool / "stubtest"), "bicorn._native"])
    yield Check("budgets", [python, "tools/budgets.py"])
    yield Check("links", [python, "tools/links.py"])
    yield Check("option reference", [python, "-m", "bicorn.config.reference", "--check"])
    yield Check("instruction counts", [python, "tools/instructions.py"], tell=True)


def make(
    name: str, targets: list[str], version: str, interpreter: str, *, tell: bool = False
) -> Check:
    venv = venv_of(version)
    named = [f"{venv}/.{target}" if target == "tested-with" else target for target in targets]
    command = ["make", "--no-print-directory", *named, f"VENV={venv}", f"PYTHON={interpreter}"]
    return Check(name, command, tell=tell)


def venv_of(version: str) -> Path:
    return Path(f".venv-{version}")


def find_python(version: str) -> str | None:
    command = [str(ROOT / "tools" / "find-python"), version]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return found.stdout.strip() or None


def run_all(checks: Iterator[Check]) -> Iterator[Outcome]:
    for check in checks:
        yield run(check)


def run(check: Check) -> Outcome:
    """Shows the output as it comes, and keeps its last line."""
    print(f"\n== {check.name}", flush=True)
    began = time.monotonic()
    environment = {**inherited(), **check.environment}
    closing = ""
    with subprocess.Popen(
        check.command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            # Make's own last word says nothing that the status does not.
            closing = closing if line.startswith("make: ") else line.strip() or closing
    telling = check.tell or process.returncode == SKIPPED
    seconds = time.monotonic() - began
    return Outcome(check.name, process.returncode, seconds, closing if telling else "")


def inherited() -> dict[str, str]:
    """Our environment, without what the make that called us says to a make below it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name
        not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHON", "VIRTUAL_ENV"}
    }


def summarise(outcomes: list[Outcome]) -> None:
    print("\n== summary")
    for outcome in outcomes:
        print(
            f"{outcome.word:8} {outcome.seconds:5.0f} s  {outcome.name:24} {outcome.note}".rstrip()
        )
    failed = sum(outcome.word == "FAILED" for outcome in outcomes)
    skipped = sum(outcome.word == "SKIPPED" for outcome in outcomes)
    print(
        f"{len(outcomes) - failed - skipped} passed, {failed} failed, {skipped} skipped", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
