"""docs/configuration.md, made of the table of options.

    python -m bicorn.config.reference            writes the page
    python -m bicorn.config.reference --check    shows how it differs, and fails if it does

Run from the root of the repository, or with the page's path as the last argument.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bicorn.config.option import Positional
from bicorn.config.options import GROUPS, OPTIONS
from bicorn.config.values import Several, Switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from bicorn.config.option import Option

PAGE = "docs/configuration.md"

_INTRODUCTION = """\
# Configuration

Made by `python -m bicorn.config.reference` from the table in `src/bicorn/config/options.py`; change it there.

An option is given as a flag or as an environment variable. A flag wins over its variable, and a variable
over the default; an empty variable counts as not set. `bicorn --check-config APP` shows what each option
resolves to and where that came from. An unknown flag, an unknown `BICORN_` variable and a value out of range
are errors, with exit status 2 ([errors](errors.md)). Variables that Kubernetes makes for a Service named
`bicorn` (`BICORN_SERVICE_HOST`, `BICORN_PORT`, `BICORN_PORT_...`) are passed over.

- **Durations** are seconds, or a number with a unit: `500ms`, `30s`, `2m`, `1h`, `1d`.
- **Sizes** are bytes, or a number with a unit: `16k`, `16KiB`, `1GiB` (powers of 1024), `16kB`, `1GB`
  (powers of 1000).
- **Addresses** are `HOST:PORT`, `[::1]:PORT`, `:PORT` (all IPv4 addresses of the machine), `PORT` (the
  loopback address), `unix:PATH`, or `fd://N` for a socket that is already open. Port 0 lets the kernel
  choose.
- **Switches** are bare flags with a `--no-` form; as variables they are `on`, `off`, `true`, `false`, `1`
  or `0`.
- **Lists** repeat the flag; in a variable they are separated by commas.
"""


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 1 where ``--check`` finds a difference."""
    check = "--check" in argv
    paths = [word for word in argv if word != "--check"]
    page = Path(paths[-1] if paths else PAGE)
    text = reference()
    if not check:
        page.write_text(text, encoding="utf-8")
        return 0
    import difflib

    current = page.read_text(encoding="utf-8") if page.exists() else ""
    difference = difflib.unified_diff(
        current.splitlines(keepends=True),
        text.splitlines(keepends=True),
        str(page),
        "the table of options",
    )
    sys.stdout.writelines(difference)
    if current != text:
        print(f"{page} is out of date: run `python -m bicorn.config.reference {page}`")
    return int(current != text)


def reference() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *(line for group in GROUPS for line in _section(group))])


def _section(group: str) -> Iterator[str]:
    yield f"## {group}\n"
    for option in OPTIONS:
        if option.group == group:
            yield from _entry(option)


def _entry(option: Option[Any]) -> Iterator[str]:
    kind = option.kind
    default = option.shown(option.default)
    yield f"### `{option.name}`\n"
    yield f"{option.help[0].upper()}{option.help[1:]}.\n"
    if isinstance(option, Positional):
        yield f"- Argument: `{option.flag}`"
    elif isinstance(kind, Switch):
        yield f"- Flags: `{option.flag}`, `--no-{option.flag.removeprefix('--')}`"
    else:
        yield f"- Flag: `{option.flag} {kind.metavar}`"
    if option.aliases:
        yield f"- Also: {', '.join(f'`{alias}`' for alias in option.aliases)}"
    if isinstance(kind, Several) and kind.parts:
        yield f"- Or as parts: {', '.join(f'`{part}`' for part in kind.parts)}"
    yield f"- Environment: `{option.env}`"
    yield f"- Default: {f'`{default}`' if default else 'none'}"
    yield f"- Accepts: {kind.allowed}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
