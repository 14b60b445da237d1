"""Applications on disk, and a process state that is put back after they were loaded."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Writes a file of Python below the working directory, which is empty and the test's own."""
    path, modules = list(sys.path), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    # Two tests may write a module of the same name and size within one second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write_source(name: str, source: str = "") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source), encoding="utf-8")
        return file

    yield write_source
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
