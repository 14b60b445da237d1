"""docs/configuration.md is what the table says."""

from pathlib import Path

import pytest

from bicorn.config.options import OPTIONS
from bicorn.config.reference import PAGE, main, reference

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_in_the_repository_is_current() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == reference(), (
        "run `python -m bicorn.config.reference`"
    )


def test_the_page_has_every_option() -> None:
    text = reference()
    for option in OPTIONS:
        assert f"### `{option.name}`\n" in text
        assert f"`{option.env}`" in text


def test_check_shows_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    assert main([str(page)]) == 0
    assert main(["--check", str(page)]) == 0
    assert capsys.readouterr().out == ""
    page.write_text(
        page.read_text(encoding="utf-8").replace("`BICORN_LOOP`", "`LOOP`"), encoding="utf-8"
    )
    assert main(["--check", str(page)]) == 1
    shown = capsys.readouterr().out
    assert "-- Environment: `LOOP`" in shown
    assert "+- Environment: `BICORN_LOOP`" in shown
