"""Counts the instructions of crates/proto under callgrind and compares them with the baseline.

Owns the gate on the parser's and the serialiser's cost: instructions, which do not vary from run
to run, in place of seconds. It must not know what the counted programs do: each takes a number of
iterations as its only argument, and the cost of one is (count(2N) - count(N)) / N, which leaves
the start of the process out.

    python tools/instructions.py            fails where an iteration costs more than 3 % more
    python tools/instructions.py --record   writes the baseline, benchmarks/instructions.json
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "benchmarks" / "instructions.json"
PACKAGE = "bicorn-proto"
EXAMPLES = ("count_parse", "count_response")
ITERATIONS = 1000
TOLERANCE = 0.03
SKIPPED = 77


def main(arguments: list[str]) -> int:
    if shutil.which("valgrind") is None:
        print("SKIPPED: valgrind is not installed, so instructions were not counted")
        return SKIPPED
    counts = {name: count(build(name)) for name in EXAMPLES}
    if arguments == ["--record"]:
        record(counts)
        return 0
    return compare(counts)


def build(example: str) -> Path:
    """Builds an example as it is released, and returns its program."""
    command = ["cargo", "build", "--release", "--locked", "--package", PACKAGE]
    built = subprocess.run(
        [*command, "--example", example, "--message-format", "json-render-diagnostics"],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if built.returncode != 0:
        raise SystemExit(f"{example} does not build")
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    programs = [message["executable"] for message in messages if message.get("executable")]
    return Path(programs[-1])


def count(program: Path) -> float:
    """Instructions of one iteration."""
    return (instructions(program, 2 * ITERATIONS) - instructions(program, ITERATIONS)) / ITERATIONS


def instructions(program: Path, iterations: int) -> int:
    """Instructions of a whole run."""
    with tempfile.TemporaryDirectory() as directory:
        profile = Path(directory) / "callgrind.out"
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={profile}"]
        subprocess.run(
            [*valgrind, str(program), str(iterations)], check=True, stdout=subprocess.DEVNULL
        )
        found = re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"callgrind wrote no total for {program.name}")
    return int(found.group(1))


def record(counts: dict[str, float]) -> None:
    """The compiler stands beside the counts: another one makes other code."""
    baseline = {"rustc": compiler(), "instructions": counts}
    BASELINE.write_text(json.dumps(baseline, indent=2) + "\n")
    print(f"recorded {counts} in {BASELINE.relative_to(ROOT)}")


def compare(counts: dict[str, float]) -> int:
    if not BASELINE.exists():
        print(f"there is no {BASELINE.relative_to(ROOT)}: write it with --record")
        return 1
    baseline = json.loads(BASELINE.read_text())
    before = baseline["instructions"]
    if baseline["rustc"] != compiler():
        print(f"the baseline is of {baseline['rustc']}, this is {compiler()}")
    changes = {name: counts[name] / before[name] - 1 for name in counts if name in before}
    unknown = [name for name in counts if name not in before]
    for name in unknown:
        print(
            f"{name}: {counts[name]:.0f} instructions, not in the baseline: write it with --record"
        )
    worse = [name for name, change in changes.items() if change > TOLERANCE]
    for name in worse:
        print(f"{name} costs more than {TOLERANCE:.0%} more than the baseline")
    told = (
        f"{name} {counts[name]:.0f} instructions ({change:+.1%})"
        for name, change in changes.items()
    )
    print(", ".join(told))
    return 1 if worse or unknown else 0


def compiler() -> str:
    version = subprocess.run(["rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True)
    return version.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
