"""The comparison: every work on every server, in rounds that go through all servers before the next begins.

So a slow spell of the machine meets all servers alike, and the median of the rounds leaves it out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

from benchmarks.suite.load import Load
from benchmarks.suite.measure import Bench, Sample, measure, medians
from benchmarks.suite.process import ServerFailed
from benchmarks.suite.servers import Server
from benchmarks.suite.works import Work

Say = Callable[[str], None]


@dataclass
class Results:
    """Medians by work and server, in the order of the tables. Whoever failed once is in ``failed`` alone."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)

    def get(self, work: str, server: str) -> Sample | None:
        samples = self.samples.get((work, server))
        return medians(samples) if samples else None

    def of_work(self, work: str) -> dict[str, Sample]:
        return {s: medians(all_) for (w, s), all_ in self.samples.items() if w == work}

    def ratio(self, work: str, server: str, reference: str) -> float | None:
        """The median over the rounds of what one server costs to another; ``None`` if one was not measured.

        Within a round they are measured in the same minute, so what slows the machine for longer cancels out. A round
        in which either was disturbed counts only if there is no other.
        """
        pairs = list(
            zip(
                self.samples.get((work, server), []),
                self.samples.get((work, reference), []),
                strict=False,
            )
        )
        if not pairs:
            return None
        quiet = [(a, b) for a, b in pairs if not a.disturbed and not b.disturbed]
        return median(a.cpu_us / b.cpu_us for a, b in quiet or pairs)


@dataclass(frozen=True)
class Plan:
    works: tuple[Work, ...]
    servers: tuple[Server, ...]
    rounds: int
    load: Load

    def pairs(self) -> Iterable[tuple[Work, Server]]:
        for work in self.works:
            for server in self.servers:
                if work.suits(server.interface):
                    yield work, server


def compare(bench: Bench, plan: Plan, say: Say) -> Results:
    """Measures the plan. A server that fails at a work is told of, and left out of that work from then on."""
    results = Results()
    for number in range(1, plan.rounds + 1):
        for work, server in plan.pairs():
            key = (work.name, server.name)
            if key in results.failed:
                continue
            try:
                sample = measure(bench, server, work, plan.load)
            except ServerFailed as failure:
                results.failed[key] = str(failure)
                results.samples.pop(key, None)
                say(f"FAILED: {server.name} at {work.name}: {failure}")
                continue
            results.samples.setdefault(key, []).append(sample)
            say(
                f"round {number} of {plan.rounds}  {work.name:8} {server.name:16} "
                f"{sample.cpu_us:8.2f} us  {sample.rate:9,.0f}/s  core {sample.busy:4.0%}"
                f"{'  DISTURBED' if sample.disturbed else ''}"
            )
    return results
