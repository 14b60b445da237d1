"""The texts that the table of options makes for a terminal: ``--help`` and ``--check-config``.

Pure: data in, text out.
"""

from __future__ import annotations

from bicorn.config.option import Positional
from bicorn.config.options import GROUPS, OPTIONS
from bicorn.config.values import Several, Switch
from bicorn.reserved import VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from bicorn.config.option import Option
    from bicorn.config.options import Config

# What the command line does instead of serving; `bicorn.cli` acts on them.
ACTIONS = {
    "--help": "show this text",
    "--version": "show the version",
    "--check-config": "show every option's value and where it came from, and serve nothing",
}

_INDENT = 32


def help_text(columns: int) -> str:
    """Every option by group, with its default in brackets and its environment variable after it."""
    lines = [
        "usage: bicorn [options] APP",
        *(f"       bicorn {verb}" for verb in VERBS),
        "",
        "Serves a WSGI or ASGI application. APP is module:attribute, module:factory(), module",
        "or a path to a .py file.",
    ]
    for group in GROUPS:
        lines += ["", f"{group}:"]
        for option in OPTIONS:
            if option.group == group and not isinstance(option, Positional):
                lines += _entry(_spelling(option), _meaning(option), columns)
    lines += ["", "Other:"]
    for flag, text in ACTIONS.items():
        lines += _entry("-h, --help" if flag == "--help" else flag, text, columns)
    lines += ["", "Running servers:"]
    for verb, text in VERBS.items():
        lines += _entry(verb, text, columns)
    lines += [
        "",
        "TIME is 30, 30s, 500ms, 2m or 1h. SIZE is bytes, 16k, 16KiB or 1GiB. A flag wins over its variable.",
        "Lists in variables are separated by commas. All names and ranges: docs/configuration.md",
    ]
    return "\n".join(lines) + "\n"


def resolved_text(config: Config) -> str:
    """One line for each option: name, value, origin."""
    rows = [
        (
            option.name,
            option.shown(getattr(config, option.name)) or '""',
            config.origin(option.name),
        )
        for option in OPTIONS
    ]
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "".join(
        f"{name:<{name_width}}  {value:<{value_width}}  {origin}\n" for name, value, origin in rows
    )


def _spelling(option: Option[Any]) -> str:
    short = [alias for alias in option.aliases if not alias.startswith("--")]
    if isinstance(option.kind, Switch):
        # The form that changes something.
        return option.flag.replace("--", "--no-", 1) if option.default else option.flag
    metavar = option.kind.metavar
    return f"{', '.join([*short, option.flag])} {metavar}"


def _meaning(option: Option[Any]) -> str:
    text = option.help
    if isinstance(option.kind, Switch) and option.default:
        text = f"do not {text}"
    if isinstance(option.kind, Several) and option.kind.parts:
        text += f"; or {', '.join(option.kind.parts)}"
    default = option.shown(option.default)
    return f"{text} {f'[{default}] ' if default else ''}${option.env}"


def _entry(spelling: str, meaning: str, columns: int) -> Iterator[str]:
    first = f"  {spelling}"
    if len(first) > _INDENT - 2:
        yield first
        first = ""
    for line in _wrapped(meaning, max(columns - _INDENT, 30)):
        yield f"{first:<{_INDENT}}{line}"
        first = ""


def _wrapped(text: str, width: int) -> Iterator[str]:
    """textwrap, which imports `re`, would cost more than the rest of the help."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
