"""The exception tree: its drawing, its leaves, and the page for operators."""

import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bicorn import errors
from bicorn.errors import (
    AppLoadError,
    BicornError,
    BodyTooLarge,
    ClientDisconnected,
    ConfigError,
    ContractError,
    OperatorError,
    explain,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def tree(cls: type[BicornError], depth: int = 0) -> Iterator[tuple[int, type[BicornError]]]:
    yield depth, cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child, depth + 1)


LEAVES = [cls for _, cls in tree(BicornError) if not cls.__subclasses__()]
OPERATOR_LEAVES = [cls for cls in LEAVES if issubclass(cls, OperatorError)]


def test_the_drawing_is_the_tree() -> None:
    drawn = [
        (len(match[1]) // 4, match[2])
        for line in (errors.__doc__ or "").splitlines()
        if (match := re.match(r"    ((?:[│├└─ ]{4})*)(\w+(?:Error|Disconnected|TooLarge))\b", line))
    ]
    assert drawn == [(depth, cls.__name__) for depth, cls in tree(BicornError)]


@pytest.mark.parametrize("cls", LEAVES)
def test_a_leaf_is_raised_with_one_line_and_survives_pickling(cls: type[BicornError]) -> None:
    error = cls("one line")
    assert str(error) == "one line"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (cls, "one line")
    assert cls.__doc__


@pytest.mark.parametrize("cls", LEAVES)
def test_a_leaf_stands_on_the_page(cls: type[BicornError]) -> None:
    assert f"`{cls.__name__}`" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("cls", OPERATOR_LEAVES)
def test_the_page_has_the_exit_status(cls: type[OperatorError]) -> None:
    assert f"| {cls.exit_status} | `{cls.__name__}` |" in PAGE.read_text(encoding="utf-8")


def test_exit_statuses_differ_and_none_is_pythons_own() -> None:
    statuses = [cls.exit_status for cls in OPERATOR_LEAVES]
    assert len(set(statuses)) == len(statuses)
    assert not {0, 1} & set(statuses)


def test_what_the_application_meets_is_what_its_specification_says() -> None:
    assert issubclass(ClientDisconnected, OSError)
    assert issubclass(BodyTooLarge, OSError)
    assert issubclass(ContractError, RuntimeError)


def test_details_come_first_and_the_line_last() -> None:
    assert explain(ConfigError("wrong: do this")) == "bicorn: wrong: do this\n"
    error = pickle.loads(pickle.dumps(AppLoadError("raised: see above", "Traceback\n  ...\n")))
    assert explain(error) == "Traceback\n  ...\nbicorn: raised: see above\n"
