"""Results as text: tables for the terminal, a table for the README, JSON."""

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.suite.compare import Plan, Results
from benchmarks.suite.measure import Sample
from benchmarks.suite.servers import SERVERS
from benchmarks.suite.works import WORKS, Interface

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_MIB = 1024 * 1024
_HEADINGS: dict[Interface, str] = {"asgi": "ASGI", "wsgi": "WSGI"}


class NoPlaceForTable(Exception):
    """The page lacks the two markers that the table stands between."""


def terminal_tables(results: Results, plan: Plan) -> str:
    """One table for each work. Ratios are to its first server."""
    tables = []
    for work in plan.works:
        samples = results.of_work(work.name)
        if not samples:
            continue
        first = next(iter(samples))
        lines = [
            f"{work.name}: {work.meaning}, {plan.load.connections} connections",
            f"{'server':16} {'CPU us/req':>10} {'ratio':>6} {'req/s':>9} {'p50 ms':>7} {'p99 ms':>7} "
            f"{'PSS MiB':>8} {'RSS MiB':>8} {'core':>5}",
        ]
        lines += [
            _line(name, sample, results.ratio(work.name, name, first))
            for name, sample in samples.items()
        ]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _line(name: str, sample: Sample, ratio: float | None) -> str:
    closing = "  closes connections" if sample.reconnects > 0.5 else ""
    disturbed = "  DISTURBED" if sample.disturbed else ""
    return (
        f"{name:16} {sample.cpu_us:10.2f} {ratio or 0:6.2f} {sample.rate:9,.0f} "
        f"{sample.p50_us / 1000:7.2f} {sample.p99_us / 1000:7.2f} "
        f"{sample.pss / _MIB:8.1f} {sample.rss / _MIB:8.1f} {sample.busy:5.0%}{closing}{disturbed}"
    )


def readme_table(results: Results, facts: dict[str, str], load: str) -> str:
    """Markdown: for each interface the cost of each work on each server, and what the figures are."""
    parts = [
        f"Processor time per request, in microseconds, of the server's processes; {load}. Less is better; "
        "in brackets the ratio to Bicorn. Written by `make bench`; "
        "how it is measured: [docs/benchmarks.md](docs/benchmarks.md)."
    ]
    for interface, heading in _HEADINGS.items():
        parts.append(_interface_table(results, interface, heading))
    parts.append("".join(f"- {subject}: {text}\n" for subject, text in facts.items()).rstrip())
    return "\n\n".join(part for part in parts if part)


def write_readme(path: Path, table: str) -> None:
    """Puts the table between the markers of a page."""
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlaceForTable(f"{path} has no {BEGIN} and {END}: the table is not written")
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def write_json(path: Path, results: Results, facts: dict[str, str], plan: Plan) -> None:
    """Every sample of every round, so that other figures can be made of them."""
    document = {
        "facts": facts,
        "load": asdict(plan.load),
        "samples": [
            {"work": work, "server": server, "rounds": [asdict(sample) for sample in samples]}
            for (work, server), samples in results.samples.items()
        ],
        "failed": [
            {"work": work, "server": server, "reason": reason}
            for (work, server), reason in results.failed.items()
        ],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _interface_table(results: Results, interface: Interface, heading: str) -> str:
    """Rows are servers, nginx last; columns are works; the ratio is to the interface's first server."""
    seen = {server for _, server in results.samples}
    works = [
        name
        for name, work in WORKS.items()
        if interface in work.apps and any(key[0] == name for key in results.samples)
    ]
    servers = [name for name, s in SERVERS.items() if s.interface == interface and name in seen]
    if not servers or not works:
        return ""
    servers += [name for name, s in SERVERS.items() if s.interface == "none" and name in seen]
    rows = [f"| {heading} | " + " | ".join(works) + " |", "| --- |" + " ---: |" * len(works)]
    for server in servers:
        cells = [_cell(results, work, server, servers[0]) for work in works]
        rows.append(f"| {server} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cell(results: Results, work: str, server: str, first: str) -> str:
    sample, ratio = results.get(work, server), results.ratio(work, server, first)
    if sample is None:
        return ""
    if ratio is None or server == first:
        return f"{sample.cpu_us:.1f}"
    return f"{sample.cpu_us:.1f} ({ratio:.2f})"
