"""Checks the size budgets: lines of a file and of a function, nesting, and waived lints.

Owns the budgets that no linter here has (ruff counts complexity and parameters, clippy all of a Rust
function), and the one list of exceptions, tools/budgets.toml: each with its place and its reason,
and one that is not needed any more is a fault. It must not know what the code is for.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXCEPTIONS = ROOT / "tools" / "budgets.toml"

FILE_LINES = 600
FUNCTION_LINES = 60
NESTING = 4

# A lint that keeps a budget may be waived in the code only where the list says so too.
WAIVERS = re.compile(
    r"noqa:[^#]*\b(?P<ruff>C901|PLR0913)\b"
    r"|(?:allow|expect)\([^)]*clippy::(?P<clippy>too_many_lines|too_many_arguments|cognitive_complexity)"
)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match)

Place = str


def main() -> int:
    found = {place: fault for path in sources() for place, fault in faults_of(path)}
    excused = exceptions()
    faults = [f"{place}: {fault}" for place, fault in found.items() if place not in excused]
    stale = [f"{EXCEPTIONS.name}: {place} needs no exception" for place in excused.keys() - found]
    for line in [*faults, *stale]:
        print(line)
    if not faults and not stale:
        print(f"within the budgets, {len(excused)} excused")
    return 1 if faults or stale else 0


def sources() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    patterns = ["*.py", "*.pyi", "*.rs"]
    listed = subprocess.run(
        [*command, "--", *patterns], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def exceptions() -> dict[Place, str]:
    """Place to reason. A place is a path, path::function, or path::lint for a waived lint."""
    listed = tomllib.loads(EXCEPTIONS.read_text()).get("exception", [])
    for entry in listed:
        if entry.keys() != {"place", "reason"} or not entry["reason"].strip():
            raise SystemExit(f"{EXCEPTIONS.name}: each exception has a place and a reason: {entry}")
    return {entry["place"]: entry["reason"] for entry in listed}


def faults_of(path: Path) -> Iterator[tuple[Place, str]]:
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield name, f"{lines} lines, the budget of a file is {FILE_LINES}"
    for waiver in WAIVERS.finditer(text):
        lint = waiver["ruff"] or waiver["clippy"]
        yield f"{name}::{lint}", "waived in the code, but not excused"
    if path.suffix == ".py":
        yield from function_faults(name, ast.parse(text), "")


def function_faults(name: str, node: ast.AST, outer: str) -> Iterator[tuple[Place, str]]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from function_faults(name, child, outer)
            continue
        qualified = f"{outer}.{child.name}" if outer else child.name
        if not isinstance(child, ast.ClassDef):
            yield from budget_faults(f"{name}::{qualified}", child)
        yield from function_faults(name, child, qualified)


def budget_faults(
    place: Place, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[tuple[Place, str]]:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if lines > FUNCTION_LINES:
        yield place, f"{lines} lines, the budget of a function is {FUNCTION_LINES}"
    deepest = max((depth(statement) for statement in function.body), default=0)
    if deepest > NESTING:
        yield place, f"blocks nested {deepest} deep, the budget is {NESTING}"


def depth(node: ast.AST) -> int:
    """How deep blocks nest in ``node``; an ``elif`` is as deep as its ``if``, a function starts anew."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return 0
    inside = max((depth(child) for child in ast.iter_child_nodes(node)), default=0)
    if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        chained = depth(node.orelse[0])
        here = max((depth(child) for child in [node.test, *node.body]), default=0)
        return max(chained, here + 1)
    return inside + 1 if isinstance(node, BLOCKS) else inside


if __name__ == "__main__":
    sys.exit(main())
