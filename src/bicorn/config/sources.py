"""`load`: the command line and the environment become a `Config`.

A flag wins over the environment, and the environment over the default. Whatever is misspelt, missing or out
of range is a `ConfigError` of one line that names the source and the remedy. The table of options decides
what there is; this module knows none of them but the application, which is given without a flag.
"""

from __future__ import annotations

from bicorn.config.option import Positional
from bicorn.config.options import BY_NAME, OPTIONS, Config
from bicorn.config.suggest import did_you_mean, nearest
from bicorn.config.values import Several, Switch
from bicorn.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bicorn.config.option import Option

ENV_PREFIX = "BICORN_"


def load(argv: Sequence[str], environ: Mapping[str, str]) -> Config:
    """Reads a command line (without the program's name) and an environment. Raises `ConfigError`."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    read_environment(environ, values, origins)
    _CommandLine(values, origins).read(argv)
    if not values.get("app"):
        raise ConfigError(
            "no application given: use `bicorn module:attribute`, or see `bicorn --help`"
        )
    return Config(origins, **values)


def read_environment(
    environ: Mapping[str, str], values: dict[str, Any], origins: dict[str, str]
) -> None:
    """Every ``BICORN_`` variable. An empty one counts as not set, as compose files and CI have them."""
    known = {option.env: option for option in OPTIONS}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX) or _is_service_link(variable):
            continue
        if variable not in known:
            raise ConfigError(
                f"unknown environment variable {variable}: {_meant_variable(variable)}"
            )
        if text:
            option = known[variable]
            values[option.name] = _parse(option, text, f"{variable}={text}")
            origins[option.name] = f"env {variable}"


def _meant_variable(variable: str) -> str:
    """Compared without the prefix, which would make every name look like every other."""
    names = nearest(variable.removeprefix(ENV_PREFIX), (name.upper() for name in BY_NAME))
    meant = " or ".join(ENV_PREFIX + name for name in names)
    return f"did you mean {meant}?" if meant else "unset it; `bicorn --help` lists what there is"


def _is_service_link(variable: str) -> bool:
    """Whether Kubernetes or Docker links set this: for a Service named ``bicorn`` every container gets
    ``BICORN_SERVICE_HOST``, ``BICORN_PORT=tcp://...`` and ``BICORN_PORT_80_TCP_ADDR``."""
    rest = variable.removeprefix(ENV_PREFIX)
    return rest.startswith(("SERVICE_HOST", "SERVICE_PORT", "PORT_")) or rest == "PORT"


class _CommandLine:
    """One pass over the arguments: ``--flag value``, ``--flag=value``, ``-f value``, ``-fvalue``, ``--``."""

    def __init__(self, values: dict[str, Any], origins: dict[str, str]) -> None:
        self._values = values
        self._origins = origins
        self._seen: dict[str, str] = {}
        self._parts: dict[str, dict[str, str]] = {}
        self._flags = flags()

    def read(self, argv: Sequence[str]) -> None:
        rest = list(argv)
        rest.reverse()
        while rest:
            word = rest.pop()
            if word == "--":
                while rest:
                    self._take_positional(rest.pop())
            elif word.startswith("-") and word != "-":
                self._take_flag(word, rest)
            else:
                self._take_positional(word)
        self._compose_parts()

    def _take_positional(self, word: str) -> None:
        if "app" in self._seen:
            raise ConfigError(
                f"unexpected argument {word!r}: {self._values['app']!r} is already the application"
            )
        self._set(BY_NAME["app"], _parse(BY_NAME["app"], word, repr(word)), "argument")

    def _take_flag(self, word: str, rest: list[str]) -> None:
        flag, equals, text = (
            word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
        )
        flag = flag.replace("_", "-")
        if flag not in self._flags:
            hint = did_you_mean(flag, self._flags, "`bicorn --help` lists what there is")
            raise ConfigError(f"unknown option {flag}: {hint}")
        option, on = self._flags[flag]
        if isinstance(option.kind, Switch):
            if equals:
                raise ConfigError(f"{flag} takes no value: use {option.flag} or {_negated(option)}")
            self._set(option, on, f"flag {flag}")
            return
        if not equals:
            if not rest or (
                rest[-1].startswith("--") and rest[-1].partition("=")[0] in self._flags
            ):
                raise ConfigError(f"{flag} needs a value: {option.kind.allowed}")
            text = rest.pop()
        if isinstance(option.kind, Several):
            self._add(option, flag, text)
        else:
            self._set(option, _parse(option, text, f"{flag} {text}"), f"flag {flag}")

    def _add(self, option: Option[Any], flag: str, text: str) -> None:
        """A repeated flag adds to what the same flag gave, and replaces what the environment gave."""
        if isinstance(option.kind, Several) and flag in option.kind.parts:
            self._parts.setdefault(option.name, {})[flag] = text
            return
        earlier = self._values[option.name] if option.name in self._seen else ()
        self._set(option, earlier + _parse(option, text, f"{flag} {text}"), f"flag {flag}")

    def _compose_parts(self) -> None:
        for name, given in self._parts.items():
            option, names = BY_NAME[name], " and ".join(given)
            if name in self._seen:
                raise ConfigError(
                    f"{names} and {self._seen[name]} exclude each other: use {option.flag} alone"
                )
            kind = option.kind
            assert isinstance(kind, Several)
            try:
                self._set(option, kind.compose(given), f"flag {names}")
            except ValueError as error:
                raise ConfigError(
                    f"{' '.join(f'{flag} {text}' for flag, text in given.items())} {error}"
                ) from None

    def _set(self, option: Option[Any], value: object, origin: str) -> None:
        self._values[option.name] = value
        self._origins[option.name] = origin
        self._seen[option.name] = origin.removeprefix("flag ")


def flags() -> dict[str, tuple[Option[Any], bool]]:
    """Every spelling of every flag, with what it sets a switch to."""
    table: dict[str, tuple[Option[Any], bool]] = {}
    for option in OPTIONS:
        if isinstance(option, Positional):
            continue
        for flag in (
            option.flag,
            *option.aliases,
            *(option.kind.parts if isinstance(option.kind, Several) else ()),
        ):
            table[flag] = (option, True)
        if isinstance(option.kind, Switch):
            table[_negated(option)] = (option, False)
    return table


def _negated(option: Option[Any]) -> str:
    return "--no-" + option.flag.removeprefix("--")


def _parse(option: Option[Any], text: str, source: str) -> Any:
    try:
        return option.kind.parse(text)
    except ValueError as error:
        raise ConfigError(f"{source} {error}") from None
