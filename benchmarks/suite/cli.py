"""The runner's command line: chooses what is measured, and prints it. Measures nothing itself."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.suite import bars, report
from benchmarks.suite.compare import Plan, compare
from benchmarks.suite.further import FURTHER
from benchmarks.suite.load import ClientMissing, Load, allow_connections, build_client
from benchmarks.suite.machine import facts
from benchmarks.suite.measure import Bench
from benchmarks.suite.pace import Pace
from benchmarks.suite.process import CLIENT_CORE, ROOT, ServerFailed, on_core
from benchmarks.suite.servers import SERVERS, Server
from benchmarks.suite.works import WORKS


def main() -> int:
    """Returns the exit status: 0 whether the bars are met or not, 1 if something cannot be measured."""
    arguments = _parser().parse_args()
    _same_interpreter(arguments.python)
    allow_connections()
    servers = _available(arguments.servers)
    try:
        bench = Bench(sys.executable, build_client(), Pace(), arguments.patience)
        with on_core(CLIENT_CORE):
            if arguments.measurement == "compare":
                _compare(bench, servers, arguments)
            else:
                _further(bench, servers, arguments.measurement)
    except (ClientMissing, ServerFailed, report.NoPlaceForTable) as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure Bicorn beside its peers, on one core each."
    )
    parser.add_argument(
        "measurement",
        nargs="?",
        default="compare",
        choices=["compare", *FURTHER, "further"],
        help="compare: processor time per request (the default); further: all the others in turn",
    )
    parser.add_argument("--works", type=_names(WORKS), default=list(WORKS), metavar="A,B")
    parser.add_argument("--servers", type=_names(SERVERS), default=list(SERVERS), metavar="A,B")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison (default 3)")
    parser.add_argument("--connections", type=int, default=64, help="kept busy (default 64)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a measurement (default 1)")
    parser.add_argument(
        "--patience",
        type=float,
        default=6.0,
        help="how many times longer a measurement may take while the machine is not quiet (default 6)",
    )
    parser.add_argument("--python", default=sys.executable, help="the interpreter of all servers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample here")
    parser.add_argument(
        "--readme",
        type=Path,
        metavar="FILE",
        help=f"write the table here, between {report.BEGIN} and {report.END}; "
        "the default is README.md when nothing is left out",
    )
    return parser


def _names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
        return names

    return parse


def _same_interpreter(python: str) -> None:
    """Goes on under the interpreter that the servers get, so that both see the same installed packages."""
    if python != sys.executable:
        arguments = sys.argv[1:]
        os.execv(python, [python, str(ROOT / "benchmarks" / "run.py"), *_without_python(arguments)])


def _without_python(arguments: list[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in arguments:
        if not skip and word != "--python" and not word.startswith("--python="):
            kept.append(word)
        skip = word == "--python"
    return kept


def _available(names: list[str]) -> tuple[Server, ...]:
    """The servers that are installed; the others are told of."""
    servers = tuple(SERVERS[name] for name in names)
    for server in servers:
        if server.version() is None:
            print(f"SKIPPED: {server.name} is not installed", file=sys.stderr)
    return tuple(server for server in servers if server.version() is not None)


def _compare(bench: Bench, servers: tuple[Server, ...], arguments: argparse.Namespace) -> None:
    load = Load(connections=arguments.connections, seconds=arguments.seconds)
    works = tuple(WORKS[name] for name in arguments.works)
    plan = Plan(works, servers, arguments.rounds, load)
    machine = facts(servers)
    for subject, text in machine.items():
        print(f"{subject:10} {text}")
    print(flush=True)
    results = compare(bench, plan, lambda line: print(line, flush=True))
    print(f"\n{report.terminal_tables(results, plan)}\n")
    for verdict in bars.verdicts(results, _rivals()):
        print(verdict)
    if arguments.json:
        report.write_json(arguments.json, results, machine, plan)
    page = arguments.readme or _default_page(arguments)
    if page:
        words = f"{load.connections} keep-alive connections, median of {plan.rounds} rounds"
        report.write_readme(page, report.readme_table(results, machine, words))
        print(f"\nthe table is in {page}")


def _default_page(arguments: argparse.Namespace) -> Path | None:
    """README.md, for a run that measured everything in the usual way."""
    whole = arguments.works == list(WORKS) and arguments.servers == list(SERVERS)
    usual = arguments.connections == 64 and arguments.rounds >= 3
    return ROOT / "README.md" if whole and usual else None


def _rivals() -> dict[str, list[str]]:
    return {
        own.name: [
            name
            for name, peer in SERVERS.items()
            if peer.interface == own.interface and peer.package != own.package
        ]
        for own in SERVERS.values()
    }


def _further(bench: Bench, servers: tuple[Server, ...], name: str) -> None:
    chosen = {server.name: server for server in servers}
    for each in FURTHER if name == "further" else [name]:
        print(f"{each}: {FURTHER[each].__doc__}", flush=True)
        try:
            for line in FURTHER[each](bench, chosen):
                print(f"  {line}", flush=True)
        except ServerFailed as failure:
            print(f"  FAILED: {failure}", flush=True)
