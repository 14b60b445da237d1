"""What hooks are given: views, which cannot be changed."""

import inspect
import re
from pathlib import Path

import pytest

from bicorn.config import Config
from bicorn.hooks import NAMES, Hooks, ServerView, WorkerView

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hooks.md"
WORKER = WorkerView(pid=8, slot=1, generation=2, age=3.5, cause="exited with status 0")
SERVER = ServerView(pid=7, config=Config(), generation=2, workers=(WORKER,))


def test_views_show_what_they_were_made_of() -> None:
    assert (WORKER.pid, WORKER.slot, WORKER.generation) == (8, 1, 2)
    assert (WORKER.age, WORKER.cause) == (3.5, "exited with status 0")
    assert (SERVER.pid, SERVER.generation, SERVER.workers) == (7, 2, (WORKER,))
    assert SERVER.config == Config()
    assert repr(WORKER) == (
        "WorkerView(age=3.5, cause='exited with status 0', generation=2, pid=8, slot=1)"
    )


@pytest.mark.parametrize("view", [SERVER, WORKER])
def test_a_view_cannot_be_changed(view: object) -> None:
    with pytest.raises(AttributeError, match="is a view: pid cannot be set"):
        view.pid = 1  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="is a view: other cannot be set"):
        view.other = 1  # type: ignore[attr-defined]


def test_every_hook_does_nothing_by_default() -> None:
    for name in NAMES:
        hook = getattr(Hooks(), name)
        views = [SERVER, WORKER][: len(inspect.signature(hook).parameters)]
        hook(*views)


def test_every_hook_stands_on_the_page() -> None:
    documented = re.findall(r"^\| `(\w+)\(", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == list(NAMES)
