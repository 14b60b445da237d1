"""The command line: ``bicorn APP`` and its few other verbs.

Reads the configuration, says what is wrong with it, and hands over to the supervisor; prints, and turns an
operator's error into its exit status. Knows neither the single options nor how anything is served.
"""

from __future__ import annotations

import os
import sys

from bicorn.errors import OperatorError, explain
from bicorn.reserved import VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bicorn.config import Config


INTERRUPTED = 130
"""What a shell reports of a program that SIGINT ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until told to stop. Returns the exit status; docs/errors.md lists them."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        for flag, action in _ACTIONS.items():
            if flag in _before_separator(words):
                _print(action([word for word in words if word != flag]))
                return 0
        if words and words[0] in VERBS:
            from bicorn.control import main as control

            _print(control(words))
            return 0
        config = _load(words)
        # Only now: a mistake in the configuration, and --help, must not wait for the rest to be imported.
        from bicorn.supervisor import run

        return run(config, lambda: _load(words))
    except OperatorError as error:
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
        if sys.stderr is not None:
            sys.stderr.write(explain(error))
        return error.exit_status
    except KeyboardInterrupt:
        # Before anything is served there is nothing to finish.
        return INTERRUPTED


def _print(text: str) -> None:
    """A reader that has seen enough, as ``head`` has, is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left is written once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _load(words: list[str]) -> Config:
    from bicorn.config import load

    return load(words, os.environ)


def _help(_words: list[str]) -> str:
    from bicorn.config.help import help_text

    return help_text(_columns())


def _version(_words: list[str]) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("bicorn")
    except PackageNotFoundError:
        number = "(not installed)"
    python = ".".join(map(str, sys.version_info[:3]))
    return f"bicorn {number} ({sys.implementation.name} {python}, {sys.platform})\n"


def _check_config(words: list[str]) -> str:
    from bicorn.config.help import resolved_text

    return resolved_text(_load(words))


def _columns() -> int:
    try:
        return min(os.get_terminal_size(sys.stdout.fileno()).columns, 120)
    except (OSError, ValueError):
        return 100


def _before_separator(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


_ACTIONS: dict[str, Callable[[list[str]], str]] = {
    "--help": _help,
    "-h": _help,
    "--version": _version,
    "--check-config": _check_config,
}
