"""What the native half tells the error log.

An application's exception, once, with its request, and without our own frames; and that connections cannot be
accepted.
"""

from __future__ import annotations

import os

from bicorn.errors import ClientDisconnected

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from types import TracebackType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def reporter(logger: logging.Logger) -> Callable[[BaseException, str, str], None]:
    """What the gateways call: ``report(error, request_line, request_id)``."""

    def report(error: BaseException, request_line: str, request_id: str) -> None:
        if stems_from_departure(error):
            told = f"{type(error).__name__}: {error}".rstrip(": ")
            logger.info("%s: the client left; %s (request %s)", request_line, told, request_id)
            return
        trace = cut(error.__traceback__)
        logger.error(
            "%s failed (request %s)", request_line, request_id, exc_info=(type(error), error, trace)
        )

    return report


def complainer(logger: logging.Logger) -> Callable[[int], None]:
    """What the engine calls when it cannot accept: ``complain(errno)``."""

    # Here, and not when it is needed: by then there is no descriptor left to load it with.
    import resource

    def complain(number: int) -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        logger.error(
            "cannot accept connections: %s; they wait. This worker may have %d descriptors: raise that limit "
            "(ulimit -n, LimitNOFILE= of systemd), or set --max-connections below it",
            os.strerror(number),
            limit,
        )

    return complain


def stems_from_departure(error: BaseException | None) -> bool:
    """Whether it was raised on account of a client that left: frameworks put an exception of their own, or a
    task group's, in the place of the one that `send` raised. No fault of the application, so not a traceback."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        if isinstance(error, ClientDisconnected):
            return True
        if isinstance(error, BaseExceptionGroup):
            return all(stems_from_departure(each) for each in error.exceptions)
        chain.append(error)
        error = error.__cause__ or error.__context__
    return False


def cut(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that is not Bicorn's."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return trace
