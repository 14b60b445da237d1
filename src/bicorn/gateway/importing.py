"""Importing the application's module, and saying in one line why that failed.

Owns the difference between a module that is not there, one whose own imports are missing, and one that
raises; and the traceback that is the application's own, without the frames of importlib and Bicorn. Knows
nothing of attributes, factories and interfaces.
"""

from __future__ import annotations

import importlib
import os
import sys

from bicorn.config.suggest import nearest
from bicorn.errors import AppLoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import traceback
    from types import ModuleType

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def import_target(where: str) -> ModuleType:
    """Imports a dotted name, or a path to a ``.py`` file. Raises `AppLoadError`."""
    if where.endswith(".py") or os.sep in where:
        path = os.path.abspath(os.path.expanduser(where))
        # Relative to --app-dir too, which is first on the path by now.
        if not os.path.isfile(path) and os.path.isfile(os.path.join(sys.path[0], where)):
            path = os.path.join(sys.path[0], where)
        if not os.path.isfile(path) or not path.endswith(".py"):
            raise _file_not_found(where, path)
        return _import_file(path)
    if where.startswith("."):
        raise AppLoadError(
            f"{where!r} is a relative name: use the whole name, as in package.module"
        )
    return _import_name(where)


def app_raised(what: str, error: BaseException) -> AppLoadError:
    """``what`` is the part of the application that raised: an import or a factory."""
    if isinstance(error, SyntaxError):
        return _syntax_error(error)
    place = _last_place(error)
    if isinstance(error, ModuleNotFoundError) and error.name:
        line = (
            f"{what} needs the module {error.name!r}, which is not there{place}: "
            f"install it for {sys.executable}, or correct the import"
        )
    elif isinstance(error, SystemExit):
        line = f"{what} ended the process (SystemExit: {error.code}){place}: an application must return"
    else:
        text = str(error).strip().partition("\n")[0]
        line = f"{what} raised {type(error).__name__}{text and f': {text}'}{place}: see the traceback above"
    return AppLoadError(line, app_traceback(error))


def app_traceback(error: BaseException) -> str:
    """The traceback as Python shows it, with its causes, without frames of importlib and Bicorn."""
    import traceback

    whole = traceback.TracebackException.from_exception(error)
    pending, seen = [whole], set()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        part.stack = traceback.StackSummary.from_list(
            [f for f in part.stack if _is_of_app(f.filename)]
        )
        pending += [link for link in (part.__cause__, part.__context__) if link is not None]
        pending += part.exceptions or () if hasattr(part, "exceptions") else ()
    return "".join(whole.format())


def raised_at(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost frame that is the application's; None where the error comes from the call itself."""
    import traceback

    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _is_of_app(frame.filename)
    ]
    return frames[-1] if frames else None


def _import_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}.") and not raised_at(error):
            raise _module_not_found(name, error) from None
        raise app_raised(f"importing {name!r}", error) from error
    except (Exception, SystemExit) as error:  # the app's own code runs here
        raise app_raised(f"importing {name!r}", error) from error


def _import_file(path: str) -> ModuleType:
    """Imports a file under the name that its package gives it, so that its relative imports work."""
    directory, filename = os.path.split(path)
    name = filename.removesuffix(".py")
    if name == "__init__":
        directory, name = os.path.split(directory)
    while os.path.isfile(os.path.join(directory, "__init__.py")):
        directory, package = os.path.split(directory)
        name = f"{package}.{name}"
    if directory in sys.path:
        sys.path.remove(directory)
    sys.path.insert(0, directory)
    if "." not in name and _is_other_file(name, path):
        return _execute(f"bicorn_app_{name}", path)
    return _import_name(name)


def _is_other_file(name: str, path: str) -> bool:
    """Whether a module of this name is loaded already, and so shadows a file like ``select.py``."""
    loaded = sys.modules.get(name)
    return loaded is not None and os.path.abspath(getattr(loaded, "__file__", None) or "") != path


def _execute(name: str, path: str) -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AppLoadError(f"{path} cannot be imported: it is not a Python source file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the app's own code runs here
        del sys.modules[name]
        raise app_raised(f"importing {path}", error) from error
    return module


def _file_not_found(where: str, path: str) -> AppLoadError:
    if os.path.isfile(f"{path}.py"):
        return AppLoadError(f"{where} is not a .py file: did you mean {where}.py?")
    if os.path.isdir(path):
        return AppLoadError(f"{where} is a directory: name a .py file in it, or a module")
    directory, filename = os.path.split(path)
    known = [entry for entry in _entries(directory) if entry.endswith(".py")]
    near = [os.path.join(os.path.dirname(where), entry) for entry in nearest(filename, known)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"{directory} has no file like it"
    return AppLoadError(f"no file {where}: {hint}")


def _module_not_found(name: str, error: ModuleNotFoundError) -> AppLoadError:
    missing = str(error.name)
    parent, _, leaf = missing.rpartition(".")
    if parent:
        package = sys.modules.get(parent)
        if package is not None and not hasattr(package, "__path__"):
            meant = f"{parent}:{name.removeprefix(f'{parent}.')}"
            return AppLoadError(f"{parent!r} is a module and not a package: did you mean {meant}?")
        directories = list(getattr(package, "__path__", ()))
        near = [f"{parent}.{found}" for found in nearest(leaf, _modules_in(directories))]
    else:
        directories = sys.path[:1]
        near = nearest(leaf, _modules_in(directories))
    looked = " and ".join(directories) or "the path"
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "change to its directory, or name that with --app-dir"
    )
    return AppLoadError(f"no module {missing!r} in {looked}: {hint}")


def _modules_in(directories: list[str]) -> list[str]:
    found = []
    for directory in directories:
        for entry in _entries(directory):
            if entry.endswith(".py"):
                found.append(entry.removesuffix(".py"))
            elif os.path.isfile(os.path.join(directory, entry, "__init__.py")):
                found.append(entry)
    return found


def _entries(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _syntax_error(error: SyntaxError) -> AppLoadError:
    import traceback

    place = f" in {_short(error.filename)}, line {error.lineno}" if error.filename else ""
    details = "".join(traceback.format_exception_only(error))
    return AppLoadError(f"syntax error{place}: {error.msg}", details)


def _last_place(error: BaseException) -> str:
    frame = raised_at(error)
    return f" ({_short(frame.filename)}, line {frame.lineno})" if frame else ""


def _short(filename: str) -> str:
    """Relative to the working directory where that is shorter."""
    return min(filename, os.path.relpath(filename), key=len)


def _is_of_app(filename: str) -> bool:
    if filename.startswith(("<frozen importlib", _HERE)):
        return False
    return os.path.abspath(filename) != os.path.abspath(importlib.__file__)
