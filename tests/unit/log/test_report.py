"""`bicorn.log.report`: a failed application is told of with its traceback, a client that left with one line."""

import logging

import pytest

from bicorn.errors import ClientDisconnected
from bicorn.log.report import reporter, stems_from_departure


def replaced() -> BaseException:
    """As Starlette does it."""
    try:
        try:
            raise ClientDisconnected
        except OSError:
            raise RuntimeError("gone")  # noqa: B904 - the context alone must do
    except RuntimeError as error:
        return error


def caused() -> BaseException:
    error = RuntimeError("gone")
    error.__cause__ = ExceptionGroup("tasks", [ClientDisconnected(), replaced()])
    return error


def circular() -> BaseException:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    return first


@pytest.mark.parametrize("error", [ClientDisconnected(), replaced(), caused()], ids=repr)
def test_stems_from_departure(error: BaseException) -> None:
    assert stems_from_departure(error)


@pytest.mark.parametrize(
    "error",
    [ValueError(), OSError(), circular(), ExceptionGroup("", [ClientDisconnected(), KeyError()])],
    ids=repr,
)
def test_does_not_stem_from_departure(error: BaseException) -> None:
    assert not stems_from_departure(error)


def test_a_failure_is_an_error_and_a_departure_is_not(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("bicorn.test_report")
    with caplog.at_level(logging.INFO, logger.name):
        report = reporter(logger)
        report(ValueError("wrong"), "GET / HTTP/1.1", "1-2")
        report(replaced(), "GET /stream HTTP/1.1", "1-3")
    failure, departure = caplog.records
    assert failure.levelname == "ERROR"
    assert failure.exc_info is not None
    assert departure.levelname == "INFO"
    assert departure.exc_info is None
    assert departure.message == (
        "GET /stream HTTP/1.1: the client left; RuntimeError: gone (request 1-3)"
    )
