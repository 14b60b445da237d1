"""Process titles: what they say, and that nothing happens where there are none."""

import sys
import threading
import types

import pytest

from bicorn import titles
from bicorn.config import Config
from bicorn.titles import Title, WorkerTitle

CONFIG = Config(app="shop:app")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles that the package, which may not be installed, is told to set."""
    shown: list[str] = []
    package = types.ModuleType("setproctitle")
    package.setproctitle = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "setproctitle", package)
    return shown


def test_each_role(shown: list[str]) -> None:
    title = Title(CONFIG)
    assert title.is_shown
    title.show_parent(3, 12, 340)
    title.show_parent(1, 1, 1)
    title.show_worker(2, 4, "serving")
    title.show_role("template gen 4")
    assert shown == [
        "bicorn: parent shop:app [3 workers, 12 requests, 340 connections]",
        "bicorn: parent shop:app [1 worker, 1 request, 1 connection]",
        "bicorn: worker 2 gen 4 shop:app [serving]",
        "bicorn: template gen 4 shop:app",
    ]


def test_the_same_is_not_set_again(shown: list[str]) -> None:
    title = Title(CONFIG)
    title.show_parent(1, 0, 0)
    title.show_parent(1, 0, 0)
    assert len(shown) == 1


def test_another_name(shown: list[str]) -> None:
    Title(Config(app="shop:app", process_title="shop")).show_role("template")
    assert shown == ["shop: template shop:app"]


def test_an_empty_name_leaves_the_title_alone(shown: list[str]) -> None:
    title = Title(Config(app="shop:app", process_title=""))
    title.show_parent(1, 0, 0)
    assert not title.is_shown
    assert shown == []


def test_without_the_package_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "setproctitle", None)

    def never() -> dict[str, int]:
        raise AssertionError("nobody looks")

    before = threading.active_count()
    title = WorkerTitle(CONFIG, 1, never)
    title.show_load("serving")
    title.show("stopping")
    assert threading.active_count() == before


def test_a_workers_load_is_followed_while_it_serves(
    shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(titles, "INTERVAL", 0.001)
    looked = threading.Semaphore(0)
    counters = {"generation": 4, "exchanges": 1, "connections": 2}

    def count() -> dict[str, int]:
        looked.release()
        return counters

    title = WorkerTitle(CONFIG, 2, count)
    title.show_load("serving")
    for _ in range(3):
        assert looked.acquire(timeout=10)
    (follower,) = (thread for thread in threading.enumerate() if thread.name == "bicorn-title")
    title.show("finishing")
    follower.join(10)
    assert not follower.is_alive()
    assert shown[0] == "bicorn: worker 2 gen 4 shop:app [serving]"
    assert "bicorn: worker 2 gen 4 shop:app [serving, 1 request, 2 connections]" in shown
