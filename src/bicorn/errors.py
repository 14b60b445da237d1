"""Every exception that Bicorn raises, split by whose fault it is.

    BicornError
    ├── PeerError                     what came over the wire, or stopped coming
    │   └── ClientDisconnected        (OSError) the peer is gone; told to the app
    ├── LimitError                    a bound was reached
    │   └── BodyTooLarge              (OSError) the request body passed limit_body; told to the app
    ├── AppError                      the application is wrong
    │   └── ContractError             (RuntimeError) it broke the ASGI or the WSGI contract
    ├── OperatorError                 Bicorn cannot start as it was told to
    │   ├── ConfigError               exit status 2
    │   ├── AppLoadError              exit status 3
    │   ├── BindError                 exit status 4
    │   ├── AppStartupError           exit status 5
    │   ├── WorkerStartError          exit status 6
    │   ├── ControlError              exit status 7
    │   └── HostError                 exit status 8
    └── InternalError                 Bicorn is wrong

An operator's error is one line that says what is wrong and what to do about it, and leaves the process with
its exit status; docs/errors.md lists them. Requests that the peer gets wrong never become Python exceptions
unless the app has to know.

Imported by the native core and by the parent process at start-up: this module imports nothing.
"""

from __future__ import annotations


class BicornError(Exception):
    """Whatever Bicorn raises on purpose."""


class PeerError(BicornError):
    """The client's fault."""


class ClientDisconnected(PeerError, OSError):
    """The client went away: what is sent now, or waited for, cannot arrive.

    An `OSError` because the ASGI specification has ``send()`` raise one after a disconnect.
    """


class LimitError(BicornError):
    """A limit of the configuration was reached."""


class BodyTooLarge(LimitError, OSError):
    """The request body grew past ``limit_body`` while the application was reading it.

    An `OSError`, like every other reason why a WSGI application cannot read its input.
    """


class AppError(BicornError):
    """The application's fault."""


class ContractError(AppError, RuntimeError):
    """The application broke the ASGI specification or PEP 3333; the text names the rule."""


class OperatorError(BicornError):
    """Bicorn cannot start as it was told to. The text is one line: what is wrong, and what to do."""

    exit_status = 1


class ConfigError(OperatorError):
    """An option is unknown, missing or out of range."""

    exit_status = 2


class AppLoadError(OperatorError):
    """The application was not found, or raised while it was imported.

    ``details`` is the application's own traceback, or empty where the line says it all. Survives pickling:
    a worker loads the application and its parent reports the error.
    """

    exit_status = 3

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message, details)
        self.details = details

    def __str__(self) -> str:
        return str(self.args[0])


class BindError(OperatorError):
    """An address cannot be listened on."""

    exit_status = 4


class AppStartupError(OperatorError):
    """The application was loaded and then refused to start: its lifespan start-up failed."""

    exit_status = 5


class WorkerStartError(OperatorError):
    """No worker process could start, for a reason that is not the application's own."""

    exit_status = 6


class ControlError(OperatorError):
    """There is no running server to ask, or several, or it does not answer."""

    exit_status = 7


class HostError(OperatorError):
    """The process cannot be set up as it was told to: its pid file, its user, its group or the background."""

    exit_status = 8


class InternalError(BicornError):
    """A promise inside Bicorn did not hold: a bug, to be reported."""


def explain(error: OperatorError) -> str:
    """The whole text for the terminal, newline included: details first, the one line that matters last."""
    details = error.details if isinstance(error, AppLoadError) else ""
    return f"{details.rstrip()}\nbicorn: {error}\n" if details else f"bicorn: {error}\n"
