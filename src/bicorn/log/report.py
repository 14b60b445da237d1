"""An application's exception in the error log: once, with its request, and without our own frames."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from types import TracebackType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def reporter(logger: logging.Logger) -> Callable[[BaseException, str, str], None]:
    """What the gateways call: ``report(error, request_line, request_id)``."""

    def report(error: BaseException, request_line: str, request_id: str) -> None:
        trace = cut(error.__traceback__)
        logger.error(
            "%s failed (request %s)", request_line, request_id, exc_info=(type(error), error, trace)
        )

    return report


def cut(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that is not Bicorn's."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return trace
