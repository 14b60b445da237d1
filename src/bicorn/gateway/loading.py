"""``bicorn APP`` becomes an application: `load_app`, and `AppInfo`, what the parent may know of it.

    module:attribute          the attribute, dots allowed
    module:factory()          what the call returns; arguments are literals
    module                    the first of app, application, asgi, wsgi, or of create_app(), make_app()
    path/to/file.py[:...]     the same, for a file

Runs in the worker. How a module is imported, and what is said when that fails, is importing.py's; this module
walks from the module to the application.
"""

from __future__ import annotations

import os

from bicorn.errors import AppLoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Never

    from bicorn.config import Config

APP_NAMES = ("app", "application", "asgi", "wsgi")
FACTORY_NAMES = ("create_app", "make_app")


class AppInfo:
    """What can be said about a loaded application without having it; strings only, so that it fits a pipe.

    ``name`` is the attribute or the call in its module, ``target`` the whole, as in
    ``shop.web:create_app()``; ``interface`` is asgi or wsgi; ``framework`` and ``version`` are empty where
    they are not known.
    """

    __slots__ = ("framework", "interface", "name", "target", "version")
    name: str
    target: str
    interface: str
    framework: str
    version: str

    def __init__(
        self, name: str, target: str, interface: str, framework: str = "", version: str = ""
    ) -> None:
        fields = (name, target, interface, framework, version)
        for field, value in zip(_FIELDS, fields, strict=True):
            object.__setattr__(self, field, value)

    def fields(self) -> tuple[str, ...]:
        """The arguments that make it again: ``AppInfo(*info.fields())``."""
        return tuple(getattr(self, field) for field in _FIELDS)

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"an AppInfo is frozen: {name} cannot be set")

    def __reduce__(self) -> tuple[Any, ...]:
        return AppInfo, self.fields()

    def __eq__(self, other: object) -> bool:
        return self.fields() == other.fields() if isinstance(other, AppInfo) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fields())

    def __repr__(self) -> str:
        return f"AppInfo{self.fields()!r}"


_FIELDS = ("name", "target", "interface", "framework", "version")


class LoadedApp:
    """An application that is ready to be called: as ASGI 3 or as WSGI, as ``interface`` says."""

    __slots__ = ("app", "info", "interface")

    def __init__(self, app: Any, info: AppInfo) -> None:
        self.app = app
        self.info = info
        self.interface = info.interface


def load_app(config: Config) -> LoadedApp:
    """Imports and, where asked, makes the application. Raises `AppLoadError`.

    Changes the working directory and ``sys.path`` as ``chdir`` and ``app_dir`` say: call it in the process
    that serves.
    """
    from bicorn.directories import enter_directories
    from bicorn.gateway.framework import framework_of
    from bicorn.gateway.importing import import_target

    enter_directories(config)
    where, expression = split_target(config.app)
    module = import_target(where)
    app, name = _find(module, expression, factory=config.factory)
    target = f"{module.__name__}:{name}"
    app, interface = _callable_for(app, config.interface, target)
    framework, version = framework_of(app)
    return LoadedApp(app, AppInfo(name, target, interface, framework, version))


def split_target(target: str) -> tuple[str, str]:
    """Module or path, and the expression after the colon, which may be empty."""
    where, colon, expression = target.partition(":")
    if not where or (colon and not expression):
        raise AppLoadError(
            f"{target!r} does not name an application: use module:attribute, module or a path to a .py file"
        )
    return where, expression.strip()


def _find(module: ModuleType, expression: str, *, factory: bool) -> tuple[Any, str]:
    """The application, and its name in the module as the banner shows it."""
    if not expression:
        expression, is_factory = _conventional_name(module, factory=factory)
        factory = factory or is_factory
    path, arguments = _parse(expression)
    found = _attribute(module, path)
    if arguments is not None:
        return _made_by(found, expression, module.__name__, arguments), expression
    if factory:
        return _made_by(found, f"{expression}()", module.__name__, ((), {})), f"{expression}()"
    return found, expression


def _conventional_name(module: ModuleType, *, factory: bool) -> tuple[str, bool]:
    kinds = [(APP_NAMES, factory), (FACTORY_NAMES, True)]
    for names, is_factory in reversed(kinds) if factory else kinds:
        for name in names:
            # A package may have a submodule of the name.
            if callable(getattr(module, name, None)):
                return name, is_factory
    raise AppLoadError(
        f"{module.__name__!r} has none of {', '.join((*APP_NAMES, *FACTORY_NAMES))}: "
        f"{_what_there_is(module)}"
    )


_Arguments = tuple[tuple[object, ...], dict[str, object]]


def _parse(expression: str) -> tuple[list[str], _Arguments | None]:
    """The dotted path, and the arguments where it is a call."""
    path = expression.split(".")
    if all(part.isidentifier() for part in path):
        return path, None
    import ast

    malformed = AppLoadError(
        f"cannot read {expression!r}: use a name, as in module:app, or a call with literal arguments, "
        "as in \"module:create_app('production')\""
    )
    try:
        call = ast.parse(expression, mode="eval").body
        if not isinstance(call, ast.Call) or any(keyword.arg is None for keyword in call.keywords):
            raise malformed
        path = ast.unparse(call.func).split(".")
        positional = tuple(ast.literal_eval(argument) for argument in call.args)
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        raise malformed from None
    if not all(part.isidentifier() for part in path):
        raise malformed
    return path, (positional, named)


def _attribute(module: ModuleType, path: list[str]) -> Any:
    found: Any = module
    name = module.__name__
    for part in path:
        try:
            found = getattr(found, part)
        except AttributeError:
            raise _attribute_not_found(found, name, part, module) from None
        name = f"{name}:{part}" if found is not module and ":" not in name else f"{name}.{part}"
    return found


def _attribute_not_found(holder: object, name: str, part: str, module: ModuleType) -> AppLoadError:
    from bicorn.config.suggest import nearest

    near = nearest(part, (known for known in dir(holder) if not known.startswith("__")))
    if near:
        prefix = f"{name}." if ":" in name else f"{name}:"
        hint = f"did you mean {' or '.join(prefix + known for known in near)}?"
    elif holder is module:
        hint = _what_there_is(module)
    else:
        hint = "name the application"
    place = f" ({module.__file__})" if getattr(module, "__file__", None) else ""
    return AppLoadError(f"{name!r}{place} has no attribute {part!r}: {hint}")


def _what_there_is(module: ModuleType) -> str:
    """A hint: what looks like an application in there, or else what can be called at all."""
    from bicorn.gateway.detection import detect

    name = module.__name__
    submodules = [f"{name}.{part}" for part in ("asgi", "wsgi") if _has_submodule(module, part)]
    if submodules:
        return f"did you mean {' or '.join(submodules)}?"
    known = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    apps, callables = [], []
    for key, value in known.items():
        if callable(value):
            callables.append(key)
            try:
                detect(value, key)
            except Exception:  # noqa: BLE001, S112 - an object such as Flask's request refuses to be looked at
                continue
            apps.append(key)
    if apps:
        return f"name one of its applications, as in {' or '.join(f'{name}:{key}' for key in apps[:4])}"
    if callables:
        return f"name the application, as in {name}:NAME; callable in it are {', '.join(callables[:8])}"
    return f"nothing in it can be called, so name another module than {name}"


def _has_submodule(module: ModuleType, name: str) -> bool:
    """As a Django project has asgi.py and wsgi.py; told without importing them."""
    directories = getattr(module, "__path__", ())
    return any(os.path.isfile(os.path.join(directory, f"{name}.py")) for directory in directories)


def _made_by(factory: Any, call: str, module: str, arguments: _Arguments) -> Any:
    from bicorn.gateway.importing import app_raised, raised_at

    if not callable(factory):
        raise AppLoadError(
            f"{module}:{call} cannot be called: it is of type {type(factory).__name__}"
        )
    try:
        app = factory(*arguments[0], **arguments[1])
    except (Exception, SystemExit) as error:  # the app's own code runs here
        if isinstance(error, TypeError) and not raised_at(error):
            raise AppLoadError(
                f"{module}:{call} does not fit: {error}: "
                f"give literal arguments, as in \"{module}:create_app('x')\""
            ) from None
        raise app_raised(f"the factory {module}:{call}", error) from error
    if app is None:
        raise AppLoadError(
            f"the factory {module}:{call} returned None: it must return the application"
        )
    return app


def _callable_for(app: Any, asked: str, target: str) -> tuple[Any, str]:
    """The application as ASGI 3 or WSGI, and which of the two; ``asked`` overrules what it looks like."""
    from bicorn.gateway import detection

    if not callable(app) or asked == "auto":
        interface = detection.detect(app, target)
    elif asked == detection.ASGI and detection.is_double_callable(app):
        interface = detection.ASGI2
    else:
        interface = asked
    if interface == detection.ASGI2:
        return detection.single_callable(app), detection.ASGI
    return app, interface
