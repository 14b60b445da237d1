"""Finds the corpora beside the checkout; where they are not, the end of the run says what was not tested."""

from pathlib import Path

import pytest

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"

absent = pytest.StashKey[set[str]]()


@pytest.fixture(scope="session")
def corpora(request: pytest.FixtureRequest) -> Path:
    if not CORPORA.is_dir():
        request.config.stash.setdefault(absent, set()).add(str(CORPORA))
        pytest.skip("the corpora are not there")
    return CORPORA


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for place in config.stash.get(absent, ()):
        terminalreporter.section(f"SKIPPED: no corpora at {place}: nothing of them was replayed")
