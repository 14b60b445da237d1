"""The parent lives for months beside its workers: it stays small, and knows nothing of what they serve."""

import sys
from pathlib import Path

from tests.process.conftest import APPS, Start
from tests.support.wire import Wire, request

FOREIGN = (
    "asyncio",
    "concurrent",
    "email",
    "http",
    "inspect",
    "logging",
    "ssl",
    "traceback",
    "uvloop",
)
FOREIGN_PARTS = ("bicorn.banner", "bicorn.gateway", "bicorn.hosts", "bicorn.worker")
BUDGET = 75
"""Modules beside those that the interpreter itself has imported."""


def test_the_parent_imports_little(start: Start, interface: str, tmp_path: Path) -> None:
    told = tmp_path / "modules"
    hook = [sys.executable, str(APPS / "tell_modules.py"), str(told)]
    # Without titles: what sets them is an extra, and imports what it likes.
    arguments = [f"{interface}:app", "-b", "127.0.0.1:0", "--process-title", ""]
    server = start(*arguments, prefix=hook)
    with Wire(server.wait_until_ready().address) as wire:
        assert wire.send(request()).answer().status == 200
    assert server.stop() == 0
    modules = told.read_text().split()
    assert "bicorn.supervisor.supervisor" in modules
    assert [name for name in modules if name.split(".")[0] in FOREIGN] == []
    assert [name for name in modules if name.startswith(FOREIGN_PARTS)] == []
    assert len(modules) <= BUDGET, modules
