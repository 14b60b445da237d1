"""Text to value and back: what is read, what is refused, and with which words."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bicorn.config.values import (
    Choice,
    Duration,
    Integer,
    Path,
    RootPath,
    Several,
    Size,
    Switch,
    Text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0.5", 0.5),
        ("30", 30),
        ("30s", 30),
        ("30 s", 30),
        ("500ms", 0.5),
        ("1.5m", 90),
        ("2M", 120),
        ("1h", 3600),
        ("1d", 86400),
    ],
)
def test_durations_take_units(text: str, seconds: float) -> None:
    assert Duration(0, 86400).parse(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("240", 240),
        ("8k", 8192),
        ("8K", 8192),
        ("8KiB", 8192),
        ("8kB", 8000),
        ("16MiB", 16 << 20),
        ("16 MiB", 16 << 20),
        ("1.5MiB", 3 << 19),
        ("1GB", 10**9),
        ("7B", 7),
    ],
)
def test_sizes_take_units(text: str, size: int) -> None:
    assert Size(0, 1 << 40).parse(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-1",
        "+1",
        "1x",
        "1 2",
        "0x10",
        "1e3",
        "1.",
        ".5",
        "1_0",
        "٣",
        "nan",
        "inf",
        "30sec",
    ],
)
def test_what_is_no_number_with_a_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: use seconds or a unit"):
        Duration(0, 1e9).parse(text)
    with pytest.raises(ValueError, match="is not a size: use bytes or a unit"):
        Size(0, 1 << 40).parse(text)


@pytest.mark.parametrize(
    ("kind", "at_the_limits", "past_them"),
    [
        (Integer(1, 512), ["1", "512"], ["0", "513", "-1"]),
        (Size(128, 1 << 20), ["128", "1MiB"], ["127", "1048577"]),
        (Duration(0.001, 60), ["1ms", "60", "1m"], ["0", "0.9ms", "60.001"]),
    ],
)
def test_both_bounds_are_allowed_and_one_past_them_is_not(
    kind: Any, at_the_limits: list[str], past_them: list[str]
) -> None:
    for text in at_the_limits:
        kind.parse(text)
    for text in past_them:
        with pytest.raises(ValueError, match=r"is out of range: use .* to "):
            kind.parse(text)


@pytest.mark.parametrize("text", ["", "four", "1.0", " 1", "1_0", "--1", "²"])
def test_an_integer_is_ascii_digits(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number: use 1 to 512"):
        Integer(1, 512).parse(text)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Duration(0, 86400), 0.5, "500ms"),
        (Duration(0, 86400), 0.0, "0s"),
        (Duration(0, 86400), 60.0, "60s"),
        (Duration(0, 86400), 120.0, "2m"),
        (Duration(0, 86400), 86400.0, "24h"),
        (Duration(0, 86400), 1.25, "1.25s"),
        (Size(0, 1 << 40), 0, "0"),
        (Size(0, 1 << 40), 8192, "8KiB"),
        (Size(0, 1 << 40), 1 << 30, "1GiB"),
        (Size(0, 1 << 40), 1000, "1000"),
        (Switch(), True, "on"),
        (Switch(), False, "off"),
        (Choice("a", "b"), "b", "b"),
        (Text("X"), "words", "words"),
    ],
)
def test_a_value_is_shown_the_way_it_is_read(kind: Any, value: object, text: str) -> None:
    assert kind.show(value) == text
    assert kind.parse(text) == value


def test_a_choice_suggests_the_nearest_word() -> None:
    kind = Choice("critical", "warning", "info")
    assert kind.parse("INFO") == "info"
    with pytest.raises(ValueError, match="did you mean warning"):
        kind.parse("warn")
    with pytest.raises(ValueError, match="use critical, warning or info"):
        kind.parse("zzz")


@pytest.mark.parametrize("text", ["on", "TRUE", "1", "yes"])
def test_a_switch_is_on(text: str) -> None:
    assert Switch().parse(text) is True


def test_a_switch_is_never_guessed() -> None:
    with pytest.raises(ValueError, match="neither on nor off"):
        Switch().parse("maybe")


def test_text_can_be_shown_on_one_line() -> None:
    with pytest.raises(ValueError, match="control character"):
        Text("X").parse("a\nb")
    with pytest.raises(ValueError, match="not valid in UTF-8"):
        Text("X").parse("\udcff")


def test_a_root_path_starts_with_a_slash_and_does_not_end_in_one() -> None:
    assert RootPath().parse("/api/") == "/api"
    assert RootPath().parse("") == ""
    with pytest.raises(ValueError, match="use /api"):
        RootPath().parse("api")


def test_a_path_is_made_absolute_at_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kind = Path("FILE", dash="standard output")
    assert kind.parse("access.log") == str(tmp_path / "access.log")
    assert kind.parse("-") == "-"
    assert kind.show(None) == ""


def test_a_directory_has_to_exist(tmp_path: Any) -> None:
    kind = Path("DIR", existing=True)
    assert kind.parse(str(tmp_path)) == str(tmp_path)
    with pytest.raises(ValueError, match="is not an existing directory"):
        kind.parse(str(tmp_path / "missing"))


def test_several_values_are_separated_by_commas() -> None:
    kind = Several(str.upper, "X", "words")
    assert kind.parse("a, b,,c") == ("A", "B", "C")
    assert kind.show(("A", "B")) == "A,B"
    assert kind.compose({}) == ()
    with pytest.raises(ValueError, match="is empty: use words"):
        kind.parse(" , ")


@given(st.integers(0, 1 << 50))
def test_every_size_is_shown_the_way_it_is_read(size: int) -> None:
    kind = Size(0, 1 << 50)
    assert kind.parse(kind.show(size)) == size


@given(st.floats(0.001, 86400))
def test_every_duration_is_shown_the_way_it_is_read(seconds: float) -> None:
    kind = Duration(0, 86400 * 2)
    assert kind.parse(kind.show(seconds)) == pytest.approx(seconds, rel=1e-9)


@pytest.mark.parametrize(
    "kind",
    [
        Integer(1, 512),
        Size(0, 1 << 50),
        Duration(0, 60),
        Switch(),
        Choice("a", "b"),
        Text("X"),
        RootPath(),
    ],
    ids=lambda kind: type(kind).__name__,
)
@given(text=st.text() | st.from_regex(r"-?[0-9.]+ ?[a-zA-Z]*"))
@example(text="9" * 5000)
@example(text="-" + "9" * 5000 + "d")
def test_any_text_is_a_value_or_a_reason(kind: Any, text: str) -> None:
    reason = reason_against(kind, text)
    assert not reason or any(word in reason for word in (": use ", ": leave ", ": did you mean "))


def reason_against(kind: Any, text: str) -> str:
    try:
        kind.parse(text)
    except ValueError as error:
        return str(error)
    return ""
