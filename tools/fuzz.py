"""Fuzzes the parser for a while: crates/proto/fuzz under libFuzzer, from the corpora's seeds.

Owns how the target is built (a nightly compiler, coverage and AddressSanitizer) and what it starts with.
It must not know what the target checks. Where it cannot be built here, it says so and runs the property
tests on many more cases in its place.

    python tools/fuzz.py                a minute
    python tools/fuzz.py --seconds 3600
"""

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATE = ROOT / "crates" / "proto" / "fuzz"
WORK = ROOT / "target" / "fuzz"
CORPORA = ROOT.parent / "shared" / "corpora"

TOOLCHAIN = "+nightly"
TARGET = "x86_64-unknown-linux-gnu"
# What cargo-fuzz passes too, which then need not be there.
COVERAGE = (
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
)

PROPERTY_CASES_PER_SECOND = 2000
"""What the property tests do at least; more cases than that take longer than was asked for."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    absent = what_is_absent()
    if absent:
        return test_properties(seconds, absent)
    return fuzz(build(), seconds)


def what_is_absent() -> str:
    """What libFuzzer needs and is not there; empty where all of it is."""
    if not succeeds(["cargo", TOOLCHAIN, "--version"]):
        return "no nightly Rust"
    if shutil.which("c++") is None:
        return "no C++ compiler"
    fetch = ["cargo", TOOLCHAIN, "fetch", "--locked", "--quiet"]
    if not succeeds(fetch):
        return "libfuzzer-sys cannot be had from the crate registry"
    return ""


def succeeds(command: list[str]) -> bool:
    return subprocess.run(command, cwd=CRATE, capture_output=True, check=False).returncode == 0


def test_properties(seconds: int, absent: str) -> int:
    cases = seconds * PROPERTY_CASES_PER_SECOND
    command = ["cargo", "test", "--release", "--locked", "--package", "bicorn-proto"]
    print(f"NOT FUZZED: {absent}. The property tests run on {cases} cases instead.", flush=True)
    tested = subprocess.run(
        ["env", f"PROPTEST_CASES={cases}", *command, "--test", "splits"],
        cwd=ROOT,
        check=False,
    )
    print(f"NOT FUZZED ({absent}): property tests on {cases} cases in its place")
    return tested.returncode


def build() -> Path:
    command = ["cargo", TOOLCHAIN, "build", "--release", "--locked", "--quiet", "--target", TARGET]
    flags = " ".join(COVERAGE)
    built = subprocess.run(
        ["env", f"RUSTFLAGS={flags}", *command, "--target-dir", str(WORK)],
        cwd=CRATE,
        check=False,
    )
    if built.returncode != 0:
        raise SystemExit("the fuzz target does not build")
    return WORK / TARGET / "release" / "requests"


def fuzz(program: Path, seconds: int) -> int:
    """What is found stays in target/fuzz/corpus for the next run; an input that fails is named."""
    grown, findings = WORK / "corpus", WORK / "findings"
    for folder in (grown, findings):
        folder.mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/", "-max_len=4096"]
    # Seconds for one input, on a busy machine: work that is quadratic takes longer.
    options += ["-timeout=5", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"]
    dictionary = CORPORA / "http.dict"
    if dictionary.is_file():
        options.append(f"-dict={dictionary}")
    run = subprocess.run(
        [str(program), *options, str(grown), *map(str, seeds())],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if run.returncode != 0:
        print(run.stderr)
        print(f"a finding: run {program} on the input named above")
        return 1
    executed = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    print(f"{executed[1] if executed else 'no'} inputs in {seconds} s, no finding")
    return 0 if executed else 1


def seeds() -> list[Path]:
    """The folders with inputs to start from; the run says so where there are none."""
    archive = CORPORA / "h2o-http1.tar.gz"
    if not archive.is_file():
        print(f"no {archive.name} beside this checkout: fuzzing from nothing")
        return []
    folder = WORK / "seeds"
    with tarfile.open(archive) as members:
        members.extractall(folder, filter="data")
    return [folder / "http1-corpus"]


if __name__ == "__main__":
    sys.exit(main())
