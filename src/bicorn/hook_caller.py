"""Loads the operator's hooks and calls them: nothing that a hook does brings the parent down.

The hooks themselves are described in `bicorn.hooks`. The parent imports their module, so it must not import
the application.
"""

from __future__ import annotations

import time

from bicorn.config.suggest import nearest
from bicorn.errors import AppLoadError
from bicorn.hooks import NAMES, Hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bicorn.config import Config
    from bicorn.log.line import LineLog

SLOW = 1.0
"""Seconds after which the log names a hook: the parent does nothing else meanwhile."""

_PREFIXES = ("on_", "pre_", "post_", "when_", "worker_")


class HookCaller:
    """Calls those hooks that there are."""

    def __init__(self, hooks: dict[str, Callable[..., object]], log: LineLog) -> None:
        self._hooks = hooks
        self._log = log

    def has(self, name: str) -> bool:
        """Whether anybody is called: a view that nobody looks at need not be made."""
        return name in self._hooks

    def call(self, name: str, *views: object) -> None:
        """Calls the hook of this name, if there is one."""
        hook = self._hooks.get(name)
        if hook is None:
            return
        began = time.monotonic()
        try:
            hook(*views)
        except BaseException as error:  # noqa: BLE001 - whatever it is, SystemExit too: the server goes on
            self._log.error(f"the hook {name} raised, and is passed over:\n{_trace(error)}")
        took = time.monotonic() - began
        if took > SLOW:
            self._log.warning(f"the hook {name} took {took:.1f} s, in which the parent did nothing")


def load(config: Config, log: LineLog) -> HookCaller:
    """Imports what ``--hooks`` names. Raises `AppLoadError` when that cannot be, or holds no hook."""
    if not config.hooks:
        return HookCaller({}, log)
    if config.hooks not in _LOADED:
        from bicorn.directories import enter_directories

        enter_directories(config)
        _LOADED[config.hooks] = _collect(_find(config.hooks), config.hooks)
    return HookCaller(_LOADED[config.hooks], log)


_LOADED: dict[str, dict[str, Callable[..., object]]] = {}
"""By the option's value. A worker, which inherits it by the fork, calls the very object that the parent calls."""


def _find(target: str) -> object:
    """The module or the object; a class is called without arguments to get one."""
    import importlib

    where, _, name = target.partition(":")
    try:
        found: Any = importlib.import_module(where)
        if name:
            found = _attribute(found, name, target)
        return found() if isinstance(found, type) else found
    except AppLoadError:
        raise
    except ModuleNotFoundError as error:
        if error.name != where:
            raise _raised(target, error) from error
        raise AppLoadError(
            f"--hooks {target}: there is no module {where}: it is looked for in the working directory, "
            "or in --app-dir"
        ) from None
    except (Exception, SystemExit) as error:  # the operator's own code runs here
        raise _raised(target, error) from error


def _attribute(module: object, name: str, target: str) -> object:
    try:
        return getattr(module, name)
    except AttributeError:
        names = nearest(name, vars(module))
        hint = f"did you mean {' or '.join(names)}?" if names else "name an object of that module"
        raise AppLoadError(f"--hooks {target}: the module has no {name}: {hint}") from None


def _collect(holder: object, target: str) -> dict[str, Callable[..., object]]:
    """The hooks by their names; those of `Hooks` itself, which do nothing, are left out."""
    for name in _callables(holder):
        _refuse_misspelt(name, target)
    found = {}
    for name in NAMES:
        hook = getattr(holder, name, None)
        if hook is not None and getattr(hook, "__func__", None) is not getattr(Hooks, name):
            _refuse_unfit(name, hook, target)
            found[name] = hook
    if not found and not isinstance(holder, Hooks):
        raise AppLoadError(
            f"--hooks {target}: there is no hook in it: the hooks are {', '.join(NAMES)}"
        )
    return found


def _callables(holder: object) -> list[str]:
    """The names that its author has given to functions; what a module has imported is none of them."""
    import types

    if isinstance(holder, types.ModuleType):
        members = {
            name
            for name, value in vars(holder).items()
            if getattr(value, "__module__", None) == holder.__name__ and not isinstance(value, type)
        }
    else:
        members = {name for cls in type(holder).__mro__[:-1] for name in vars(cls)}
    return sorted(
        name
        for name in members
        if not name.startswith("_") and callable(getattr(holder, name, None))
    )


def _refuse_misspelt(name: str, target: str) -> None:
    near = [] if name in NAMES else nearest(name, NAMES)
    if near or (name not in NAMES and name.startswith(_PREFIXES)):
        hint = f"did you mean {' or '.join(near)}?" if near else f"they are {', '.join(NAMES)}"
        raise AppLoadError(
            f"--hooks {target}: {name} is no hook: {hint} (what is none begins with an underscore)"
        )


def _refuse_unfit(name: str, hook: object, target: str) -> None:
    import inspect

    start = f"--hooks {target}: {name}"
    if not callable(hook):
        raise AppLoadError(f"{start} cannot be called: make it a function")
    called = hook if inspect.isroutine(hook) else getattr(hook, "__call__", hook)  # noqa: B004 - its own
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise AppLoadError(
            f"{start} is async, and the parent has no event loop: define it without async"
        )
    expected = inspect.signature(getattr(Hooks, name)).parameters
    try:
        signature = inspect.signature(hook)
    except ValueError:  # of a builtin
        return
    arguments = [parameter for parameter in expected if parameter != "self"]
    try:
        signature.bind(*arguments)
    except TypeError:
        raise AppLoadError(
            f"{start} takes {signature}: define it as {name}({', '.join(arguments)})"
        ) from None


def _raised(target: str, error: BaseException) -> AppLoadError:
    first_line = str(error).partition("\n")[0]
    what = f"{type(error).__name__}: {first_line}".rstrip(": ")
    return AppLoadError(f"--hooks {target} raised {what}: see the traceback above", _trace(error))


def _trace(error: BaseException) -> str:
    """As Python shows it, from the first line on that is the operator's."""
    import traceback

    from bicorn.log.report import cut

    trace = cut(error.__traceback__)
    while trace is not None and _is_of_import(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


def _is_of_import(filename: str) -> bool:
    import importlib

    return filename == importlib.__file__ or filename.startswith("<frozen importlib")
