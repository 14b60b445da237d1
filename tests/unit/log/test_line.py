"""What a line of the error log looks like, and that both ways to write one agree."""

import io
import logging
import os
import re
import sys

import pytest

from bicorn.log.line import LineLog, is_coloured, level_word
from bicorn.log.setup import LineFormatter, set_up

LINE = re.compile(
    rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{{4}} \[{os.getpid()}\] ([A-Z]+) +(.*)\n$"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_of_the_parent(capsys: pytest.CaptureFixture[str]) -> None:
    log = LineLog("info")
    log.debug("unseen")
    log.info("seen")
    log.error("bad")
    first, second = capsys.readouterr().err.splitlines(keepends=True)
    assert [LINE.sub(r"\1 \2", line) for line in (first, second)] == ["INFO seen", "ERROR bad"]


def test_a_line_of_a_worker_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    LineLog("info").warning("a text")
    record = logging.LogRecord("bicorn", logging.WARNING, "", 0, "a %s", ("text",), None)
    line = LineFormatter(coloured=False).format(record) + "\n"
    assert line.partition("[")[2] == capsys.readouterr().err.partition("[")[2]
    assert LINE.match(line)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_the_level_is_the_threshold(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    log = LineLog(level)
    for told in ("debug", "info", "warning", "error"):
        getattr(log, told)("x")
    levels = re.findall(r"\] ([A-Z]+)", capsys.readouterr().err)
    order = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    assert levels == order[order.index(level.upper()) : 4]


def test_colour_is_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert is_coloured(Terminal())
    assert not is_coloured(io.StringIO())
    assert not is_coloured(None)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not is_coloured(Terminal())


def test_the_texts_stand_below_each_other() -> None:
    words = [level_word(level, coloured=False) for level in ("info", "warning", "critical")]
    assert {len(word) for word in words} == {8}
    assert level_word("error", coloured=True) == "\x1b[31mERROR   \x1b[0m"


def test_a_lost_standard_error_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    log = LineLog("info")
    log.error("nobody reads it")
    set_up("info").error("nor what a worker says")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    log = LineLog("info")
    log.error("nobody reads it")
    log.error("nor this")


def test_a_worker_leaves_the_applications_loggers_alone() -> None:
    before = logging.getLogger().handlers[:]
    logger = set_up("warning")
    set_up("warning")
    assert len(logger.handlers) == 1
    assert not logger.propagate
    assert logging.getLogger().handlers == before
    assert not logger.isEnabledFor(logging.INFO)
