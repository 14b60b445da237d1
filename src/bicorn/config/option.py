"""What an option is: a typed, read-only attribute of `Config` that knows all its names.

Everything else about an option (flag, environment variable, help, reference) derives from this declaration.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generic, Protocol, Self, TypeVar, overload

    T = TypeVar("T")

    class Kind(Protocol[T]):
        """See `bicorn.config.values`."""

        @property
        def metavar(self) -> str: ...
        @property
        def allowed(self) -> str: ...
        def parse(self, text: str, /) -> T: ...
        def show(self, value: T, /) -> str: ...

else:
    # Importing typing would take longer than everything else that a start of Bicorn imports.
    T = None

    class Generic:
        def __class_getitem__(cls, _):
            return cls


class Option(Generic[T]):
    """One option, declared as an attribute of `bicorn.config.options.Config` and named by it.

    ``default`` may be text, which `kind` then reads, so that a default is written like any other value.
    ``aliases`` are flags of other servers that mean the same.
    """

    name = ""
    flag = ""
    env = ""

    def __init__(
        self, kind: Kind[T], default: T, *, group: str, help: str, aliases: tuple[str, ...] = ()
    ) -> None:
        self.kind = kind
        self.default = default
        self.group = group
        self.help = help
        self.aliases = aliases

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.flag = "--" + name.replace("_", "-")
        self.env = "BICORN_" + name.upper()

    def shown(self, value: T) -> str:
        """A value as the operator would write it; empty for nothing."""
        return self.kind.show(value) if value is not None else ""

    if TYPE_CHECKING:

        @overload
        def __get__(self, config: None, owner: type) -> Self: ...
        @overload
        def __get__(self, config: object, owner: type) -> T: ...
        def __get__(self, config: object | None, owner: type) -> Any: ...

    else:

        def __get__(self, config, owner):
            return self if config is None else config._values[self.name]


class Positional(Option[T]):
    """The option that is given without a flag."""

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        self.flag = name.upper()
