"""The kinds of values that options have: text to value, value to text, and the range in between.

Each kind has ``parse(text)``, which raises `ValueError` with the reason in one clause; ``show(value)``, which
writes a value the way `parse` reads it; ``metavar``, the placeholder in the help; and ``allowed``, a phrase
for what is accepted. Knows no option and no source of values.
"""

from __future__ import annotations

from bicorn.config.suggest import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# k, m and g alone are powers of 1024, as in nginx and Apache; with a B, IEC 80000-13 decides.
_BYTES = {
    "b": 1,
    "k": 1 << 10,
    "kb": 10**3,
    "kib": 1 << 10,
    "m": 1 << 20,
    "mb": 10**6,
    "mib": 1 << 20,
    "g": 1 << 30,
    "gb": 10**9,
    "gib": 1 << 30,
    "t": 1 << 40,
    "tb": 10**12,
    "tib": 1 << 40,
}

_DIGITS = 100

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


class Text:
    """Any text that can be shown on one line: no control characters, and valid in UTF-8."""

    def __init__(self, metavar: str, allowed: str = "any text") -> None:
        self.metavar = metavar
        self.allowed = allowed

    def parse(self, text: str) -> str:
        if any(character < " " or character == "\x7f" for character in text):
            raise ValueError("contains a control character: leave it out")
        # What the interpreter could not decode on the command line arrives as lone surrogates.
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError("is not valid in UTF-8: use another name")
        return text

    def show(self, value: str) -> str:
        return value


class Path(Text):
    """A file or directory, made absolute at once: a later chdir must not change what it means.

    ``-`` is kept where ``dash`` gives it a meaning, and empty text stays empty.
    """

    def __init__(self, metavar: str, *, dash: str = "", existing: bool = False) -> None:
        super().__init__(
            metavar,
            "an existing directory" if existing else f"a path{dash and f', or - for {dash}'}",
        )
        self._dash = bool(dash)
        self._existing = existing

    def parse(self, text: str) -> str:
        import os.path

        if not super().parse(text) or (self._dash and text == "-"):
            return text
        path = os.path.abspath(os.path.expanduser(text))
        if self._existing and not os.path.isdir(path):
            raise ValueError("is not an existing directory")
        return path

    def show(self, value: str | None) -> str:
        return value or ""


class RootPath(Text):
    """A URL path prefix: empty, or starting with a slash and not ending in one (ASGI ``root_path``)."""

    def __init__(self) -> None:
        super().__init__("PATH", "empty, or a path that starts with /")

    def parse(self, text: str) -> str:
        if super().parse(text) and not text.startswith("/"):
            raise ValueError(f"must start with a slash: use /{text}")
        return text.rstrip("/")


class Switch:
    """On or off; on the command line a bare flag and its ``--no-`` form."""

    metavar = ""
    allowed = "on or off"

    def parse(self, text: str) -> bool:
        word = text.casefold()
        if word not in _TRUE + _FALSE:
            raise ValueError("is neither on nor off: use on, off, true, false, 1 or 0")
        return word in _TRUE

    def show(self, value: bool) -> str:
        return "on" if value else "off"


class Choice:
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.metavar = "|".join(words)
        self.allowed = f"{', '.join(words[:-1])} or {words[-1]}"

    def parse(self, text: str) -> str:
        word = text.casefold()
        if word not in self.words:
            hint = did_you_mean(text, self.words, f"use {self.allowed}")
            raise ValueError(f"is not one of {self.allowed}: {hint}")
        return word

    def show(self, value: str) -> str:
        return value


class Integer:
    """A whole number between two bounds, both allowed."""

    def __init__(self, low: int, high: int, metavar: str = "N") -> None:
        self.metavar = metavar
        self._low = low
        self._high = high
        self.allowed = f"{self.show(low)} to {self.show(high)}"

    def parse(self, text: str) -> int:
        number = self._read(text)
        if not self._low <= number <= self._high:
            raise ValueError(f"is out of range: use {self.allowed}")
        return number

    def show(self, value: int) -> str:
        return str(value)

    def _read(self, text: str) -> int:
        # int() would also take "1_000", " 4" and digits of other scripts.
        if not (text.isascii() and text.removeprefix("-").isdigit()):
            raise ValueError(f"is not a whole number: use {self.allowed}")
        # Python refuses to read thousands of digits; so many are out of range anyway.
        return int(text[:_DIGITS])


class Octal:
    """Mode bits such as 022; empty text is nothing."""

    metavar = "MODE"

    def __init__(self, high: int) -> None:
        self.allowed = f"an octal number up to {high:o}, or empty"
        self._high = high

    def parse(self, text: str) -> int | None:
        if not text:
            return None
        digits = text.removeprefix("0o")
        if not (digits.isascii() and digits.isdigit() and digits.strip("01234567") == ""):
            raise ValueError("is not an octal number: use one such as 022")
        number = int(digits, 8)
        if number > self._high:
            raise ValueError(f"is larger than {self._high:o}")
        return number

    def show(self, value: int | None) -> str:
        return "" if value is None else f"{value:03o}"


class Size(Integer):
    """Bytes: a plain number, or one with a unit (``8k``, ``16MiB``, ``1GB``)."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high, "SIZE")

    def show(self, value: int) -> str:
        for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value and value % factor == 0:
                return f"{value // factor}{unit}"
        return str(value)

    def _read(self, text: str) -> int:
        number, unit = _split_unit(text)
        factor = _BYTES.get(unit or "b")
        if number is None or factor is None:
            raise ValueError("is not a size: use bytes or a unit, as in 16384, 16k, 16KiB or 1GiB")
        return round(min(number * factor, self._high + 1.0))


class Duration:
    """Seconds: a plain number, or one with a unit (``500ms``, ``30s``, ``2m``)."""

    metavar = "TIME"

    def __init__(self, low: float, high: float) -> None:
        self._low = low
        self._high = high
        self.allowed = f"{self.show(low)} to {self.show(high)}"

    def parse(self, text: str) -> float:
        number, unit = _split_unit(text)
        factor = _SECONDS.get(unit or "s")
        if number is None or factor is None:
            raise ValueError(
                "is not a duration: use seconds or a unit, as in 30, 30s, 500ms, 2m or 1h"
            )
        seconds = number * factor
        if not self._low <= seconds <= self._high:
            raise ValueError(f"is out of range: use {self.allowed}")
        return seconds

    def show(self, value: float) -> str:
        if value and value < 1:
            return f"{value * 1000:.12g}ms"
        for unit in ("d", "h", "m"):
            if value and value % _SECONDS[unit] == 0 and value > _SECONDS[unit]:
                return f"{value / _SECONDS[unit]:.12g}{unit}"
        return f"{value:.12g}s"


class Several:
    """Values of one kind, from a repeated flag or a comma-separated variable.

    ``parts`` are flags that other servers have for one value together (``--host`` and ``--port``);
    ``compose`` makes such a value of the ones that were given.
    """

    def __init__(
        self,
        parse_one: Callable[[str], object],
        metavar: str,
        allowed: str,
        parts: tuple[str, ...] = (),
        compose: Callable[[dict[str, str]], list[str]] | None = None,
    ) -> None:
        self.metavar = metavar
        self.allowed = allowed
        self.parts = parts
        self._parse_one = parse_one
        self._compose = compose

    def parse(self, text: str) -> tuple[str, ...]:
        items = tuple(
            str(self._parse_one(item.strip())) for item in text.split(",") if item.strip()
        )
        if not items:
            raise ValueError(f"is empty: use {self.allowed}")
        return items

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def compose(self, given: dict[str, str]) -> tuple[str, ...]:
        if self._compose is None:
            return ()
        return tuple(str(self._parse_one(item)) for item in self._compose(given))


def _split_unit(text: str) -> tuple[float | None, str]:
    """``1.5MiB`` is 1.5 and ``mib``; the number is None where there is none."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(number) :].strip().casefold()
    whole, dot, fraction = number.partition(".")
    if (
        not (whole + fraction).isdigit()
        or not number.isascii()
        or (dot and not (whole and fraction))
    ):
        return None, unit
    return float(number), unit
