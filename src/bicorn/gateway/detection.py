"""Which interface an application has, told by its shape: how many arguments it takes, and what it returns.

    (scope, receive, send)          ASGI 3
    (environ, start_response)       WSGI, PEP 3333
    (scope) -> (receive, send)      ASGI 2, the legacy double callable; `single_callable` makes it ASGI 3

No framework is imported or known by name here: an object of a framework is a callable like any other. What
cannot be decided is an error that names ``--interface``, never a guess.
"""

from __future__ import annotations

import inspect

from bicorn.errors import AppLoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

ASGI = "asgi"
ASGI2 = "asgi2"
WSGI = "wsgi"

_OVERRULE = "say which with --interface asgi or --interface wsgi"


def detect(app: object, target: str) -> str:
    """`ASGI`, `ASGI2` or `WSGI`. ``target`` is what errors call the application. Raises `AppLoadError`."""
    if not callable(app):
        kind = type(app).__name__
        raise AppLoadError(
            f"{target} is of type {kind}, which is not callable: {_callable_hint(app)}"
        )
    parameters = _positional_parameters(app)
    if parameters is None:
        return _by_coroutine(app, target, "hides its arguments")
    required, accepted, names = parameters
    if isinstance(app, type):
        return _class_interface(app, required, accepted, target)
    if required > 3 or accepted == 0:
        raise AppLoadError(f"{target} {_wrong_arity(app, required, target)}")
    if accepted == 1:
        return _one_argument(app, names, target)
    return _callable_interface(app, parameters, target)


def is_double_callable(app: object) -> bool:
    """Whether this is an ASGI 2 application; for where the operator has said ``--interface asgi``."""
    return _interface_or_none(app) == ASGI2


def single_callable(
    app: Callable[[Any], Callable[[Any, Any], Awaitable[None]]],
) -> Callable[..., Awaitable[None]]:
    """An ASGI 2 application as ASGI 3 (ASGI specification, "Legacy Applications")."""

    async def asgi3(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return asgi3


def _callable_interface(app: object, parameters: tuple[int, float, list[str]], target: str) -> str:
    required, accepted, names = parameters
    if required == 3 or names[:3] == ["scope", "receive", "send"]:
        return ASGI
    if accepted == 2 and _is_async(app):
        raise AppLoadError(
            f"{target} is async and takes two arguments, where ASGI passes (scope, receive, send) and "
            "WSGI, which is not async, (environ, start_response): correct its arguments"
        )
    if accepted == 2 or names[:2] == ["environ", "start_response"]:
        return WSGI
    if required == 2 and not _is_async(app):
        return WSGI
    return _by_coroutine(app, target, "takes any number of arguments")


def _by_coroutine(app: object, target: str, why: str) -> str:
    """Where the arguments do not tell: a WSGI application is never a coroutine function, and a decorator that
    passes on whatever it gets has the interface of what it closes over."""
    if _is_async(app):
        return ASGI
    wrapped = {interface for inner in _closed_over(app) if (interface := _interface_or_none(inner))}
    if len(wrapped) == 1:
        return wrapped.pop()
    raise AppLoadError(
        f"cannot tell whether {target} is ASGI or WSGI, because it {why}: {_OVERRULE}"
    )


def _closed_over(app: object) -> list[object]:
    """The callables in a function's closure; not the function itself, which a recursive one has there."""
    cells = (app.__closure__ or ()) if inspect.isfunction(app) else ()
    found = []
    for cell in cells:
        try:
            content = cell.cell_contents
        except ValueError:  # assigned only later
            continue
        # A closure inside a closure is not looked into: two of them may hold each other.
        if callable(content) and not (inspect.isfunction(content) and content.__closure__):
            found.append(content)
    return found


def _interface_or_none(app: object) -> str | None:
    try:
        return detect(app, "")
    except AppLoadError:
        return None


def _one_argument(app: object, names: list[str], target: str) -> str:
    if names[:1] == ["scope"] and not _is_async(app):
        return ASGI2
    raise AppLoadError(
        f"{target} takes one argument, and neither ASGI (scope, receive, send) nor WSGI "
        "(environ, start_response) does: name the application itself, or call it if it is a factory"
    )


def _class_interface(app: type, required: int, accepted: float, target: str) -> str:
    """A class is an application where making an instance is the call."""
    if hasattr(app, "__await__") and required <= 3 <= accepted:
        return ASGI
    if hasattr(app, "__iter__") and required <= 2 <= accepted:
        return WSGI
    call = _instance_call(app)
    parameters = _positional_parameters(call)
    if parameters and required == 1 and parameters[0] <= 2 <= parameters[1] and _is_async(call):
        return ASGI2
    if parameters and parameters[0] <= 3 and parameters[1] >= 2:
        arguments = "..." if required else ""
        raise AppLoadError(
            f"{target} is a class whose instances are applications: make one with '{target}({arguments})'"
        )
    raise AppLoadError(
        f"{target} is a class, and its instances are neither ASGI nor WSGI: {_OVERRULE}"
    )


def _instance_call(app: type) -> object:
    """``__call__`` as an instance has it, self left out."""
    call = inspect.getattr_static(app, "__call__", None)
    if not inspect.isfunction(call):
        return None
    return call.__get__(object())


def _positional_parameters(app: object) -> tuple[int, float, list[str]] | None:
    """How many positional arguments it needs, how many it takes, and their names; None where it will not say.

    `inspect.signature` looks through functools.partial, bound methods, ``__call__`` and ``__wrapped__``.
    """
    if not callable(app):
        return None
    try:
        parameters = inspect.signature(app).parameters.values()
    except (ValueError, TypeError):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = sum(p.default is p.empty for p in positional)
    accepted = (
        float("inf") if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    )
    return required, accepted, [p.name for p in positional]


def _is_async(app: object) -> bool:
    unwrapped = inspect.unwrap(app) if callable(app) else app
    # What an instance runs when it is called; a function's own __call__ tells nothing.
    calls = (inspect.getattr_static(type(each), "__call__", None) for each in (app, unwrapped))
    return any(inspect.iscoroutinefunction(candidate) for candidate in (app, unwrapped, *calls))


def _wrong_arity(app: object, required: int, target: str) -> str:
    if required > 3:
        return (
            f"needs {required} arguments, where ASGI passes (scope, receive, send) and WSGI "
            "(environ, start_response): name the application itself"
        )
    if inspect.isroutine(app):
        return f"takes no arguments, so it looks like a factory: use '{target}()' or --factory"
    return "takes no arguments when called, so it is neither ASGI nor WSGI: use an adapter for its framework"


def _callable_hint(app: object) -> str:
    if inspect.iscoroutine(app):
        app.close()
        return "the factory is async, and must be a plain function"
    if inspect.ismodule(app):
        return "name an attribute of it"
    return "name the application object"
