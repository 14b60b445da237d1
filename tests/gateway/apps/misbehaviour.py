"""The exceptions that a misbehaving application raises, for both gateways."""

import asyncio


class Unprintable(Exception):
    """An exception that fails where it is looked at."""

    def __str__(self) -> str:
        raise ValueError("cannot be printed")

    __repr__ = __str__


class Custom(BaseException):
    """An exception that is not an `Exception`."""


def exception(name: str) -> BaseException:
    kinds: dict[str, BaseException] = {
        "LookupError": LookupError("on purpose"),
        "SystemExit": SystemExit(1),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "RecursionError": RecursionError("on purpose"),
        "MemoryError": MemoryError(),
        "GeneratorExit": GeneratorExit(),
        "CancelledError": asyncio.CancelledError(),
        "StopIteration": StopIteration(),
        "StopAsyncIteration": StopAsyncIteration(),
        "TimeoutError": TimeoutError("on purpose"),
        "BrokenPipeError": BrokenPipeError("of another connection"),
        "Group": ExceptionGroup("on purpose", [LookupError("inside")]),
        "Unprintable": Unprintable(),
        "Custom": Custom("on purpose"),
    }
    return kinds[name]


def recurse() -> int:
    return 1 + recurse()
