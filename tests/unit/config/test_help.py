"""The texts for the terminal: complete, and short enough to read."""

import pytest

from bicorn.config import Config, load
from bicorn.config.help import help_text, resolved_text
from bicorn.config.option import Positional
from bicorn.config.options import GROUPS, OPTIONS


def test_the_help_has_every_option_with_its_default_and_variable() -> None:
    text = help_text(100)
    joined = " ".join(text.split())
    for option in OPTIONS:
        if isinstance(option, Positional):
            continue
        default = option.shown(option.default)
        assert option.flag in text or option.flag.replace("--", "--no-", 1) in text
        assert f"{f'[{default}] ' if default else ''}${option.env}" in joined
    positions = [text.index(f"\n{group}:\n") for group in GROUPS]
    assert positions == sorted(positions)


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_the_help_keeps_to_the_width(columns: int) -> None:
    lines = help_text(columns).splitlines()
    assert max(map(len, lines)) <= max(columns, 99)
    assert len(lines) < 180


def test_resolved_values_come_with_their_origin() -> None:
    config = load(["shop:app", "-w", "2"], {"BICORN_LIMIT_BODY": "8k"})
    rows = {
        line.split()[0]: line.split(maxsplit=2)[1:] for line in resolved_text(config).splitlines()
    }
    assert rows["workers"] == ["2", "flag -w"]
    assert rows["limit_body"] == ["8KiB", "env BICORN_LIMIT_BODY"]
    assert rows["root_path"] == ['""', "default"]
    assert rows.keys() == {option.name for option in OPTIONS}


def test_resolved_values_of_a_config_made_in_code() -> None:
    assert "argument" in resolved_text(Config(app="shop:app"))
