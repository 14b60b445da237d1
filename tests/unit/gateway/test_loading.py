"""From ``bicorn APP`` to an application: every form of APP, and how each fails."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from bicorn.config import Config
from bicorn.errors import AppLoadError
from bicorn.gateway.loading import AppInfo, LoadedApp, load_app

Write = Callable[..., Path]

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"

SHOP = """
    def app(environ, start_response):
        return ["app"]

    class site:
        @staticmethod
        async def main(scope, receive, send): ...

    def create_app(name="default", *, debug=False):
        def made(environ, start_response):
            return [name, debug]
        return made

    answer = 42
"""


def load(app: str, **options: object) -> LoadedApp:
    return load_app(Config(app=app, **options))


def error_of(app: str, **options: object) -> AppLoadError:
    with pytest.raises(AppLoadError) as caught:
        load(app, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("target", "resolved", "interface"),
    [
        ("shop:app", "shop:app", "wsgi"),
        ("shop", "shop:app", "wsgi"),
        ("shop.py", "shop:app", "wsgi"),
        ("./shop.py:app", "shop:app", "wsgi"),
        ("shop:site.main", "shop:site.main", "asgi"),
        ("shop.py:site.main", "shop:site.main", "asgi"),
        ("shop:create_app()", "shop:create_app()", "wsgi"),
        ("shop:create_app('a:b', debug=True)", "shop:create_app('a:b', debug=True)", "wsgi"),
    ],
)
def test_forms(write: Write, target: str, resolved: str, interface: str) -> None:
    write("shop.py", SHOP)
    loaded = load(target)
    assert (loaded.info.target, loaded.interface) == (resolved, interface)
    assert loaded.info.name == resolved.partition(":")[2]


def test_a_factory_gets_its_arguments(write: Write) -> None:
    write("shop.py", SHOP)
    assert load("shop:create_app('a:b', debug=True)").app({}, None) == ["a:b", True]
    assert load("shop:create_app", factory=True).info.target == "shop:create_app()"


@pytest.mark.parametrize("name", ["app", "application", "asgi", "wsgi"])
def test_a_conventional_name_is_found(write: Write, name: str) -> None:
    write("shop.py", f"def helper(): ...\ndef {name}(environ, start_response): ...")
    assert load("shop").info.name == name


@pytest.mark.parametrize("name", ["create_app", "make_app"])
def test_a_conventional_factory_is_found(write: Write, name: str) -> None:
    write("shop.py", f"def {name}():\n    return lambda environ, start_response: []")
    assert load("shop").info.name == f"{name}()"


def test_factory_prefers_factories(write: Write) -> None:
    write("shop.py", SHOP)
    assert load("shop", factory=True).info.name == "create_app()"


def test_a_submodule_is_not_taken_for_the_application(write: Write) -> None:
    write("shop/__init__.py", "from shop import app\ndef wsgi(environ, start_response): ...")
    write("shop/app.py")
    assert load("shop").info.target == "shop:wsgi"


def test_a_file_in_a_package_keeps_its_relative_imports(write: Write) -> None:
    write("src/shop/__init__.py")
    write("src/shop/parts.py", "def app(environ, start_response): ...")
    write("src/shop/web.py", "from .parts import app")
    assert load("src/shop/web.py").info.target == "shop.web:app"


def test_the_init_file_of_a_package_is_the_package(write: Write) -> None:
    write("src/shop/__init__.py", "def app(environ, start_response): ...")
    assert load("src/shop/__init__.py").info.target == "shop:app"


def test_objects_that_cannot_be_looked_at_outside_of_a_request_are_no_hint(write: Write) -> None:
    """Flask's `request` is one: every look at it raises."""
    write(
        "shop.py",
        "class Proxy:\n"
        "    def __call__(self): ...\n"
        "    def __getattr__(self, name): raise RuntimeError('outside of a request')\n"
        "    __class__ = property(lambda self: self.nothing)\n"
        "request = Proxy()\n"
        "def app(environ, start_response): ...\n",
    )
    assert "as in shop:app" in str(error_of("shop:nope"))


def test_a_file_named_like_a_loaded_module(write: Write) -> None:
    write("os.py", "def app(environ, start_response): return ['mine']")
    loaded = load("os.py")
    assert loaded.app({}, None) == ["mine"]
    assert loaded.info.target == "bicorn_app_os:app"


def test_directories(write: Write, tmp_path: Path) -> None:
    write("shops/src/shop.py", SHOP)
    assert load("shop:app", app_dir="shops/src").info.target == "shop:app"
    assert load("shop.py:app", chdir=str(tmp_path / "shops"), app_dir="src").interface == "wsgi"
    assert Path.cwd() == tmp_path / "shops"
    assert (
        str(error_of("shop:app", app_dir="nope")) == "--app-dir nope is not an existing directory"
    )


def test_asgi_2_is_adapted_and_the_interface_can_be_overruled(write: Write) -> None:
    write(
        "shop.py",
        """
        class app:
            def __init__(self, scope): ...
            async def __call__(self, receive, send): ...

        def hidden(*args): ...
        """,
    )
    assert load("shop").interface == "asgi"
    assert load("shop", interface="asgi").app.__name__ == "asgi3"
    assert load("shop:hidden", interface="asgi").interface == "asgi"
    assert load("shop:hidden", interface="wsgi").interface == "wsgi"
    assert "--interface asgi" in str(error_of("shop:hidden"))


def test_the_framework_is_named(write: Write) -> None:
    pytest.importorskip("bottle")
    write("shop.py", "import bottle\nclass Shop(bottle.Bottle): ...\napp = Shop()")
    info = load("shop").info
    assert info.framework == "Bottle"
    assert info.version


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("shop:ap", "'shop' ({path}) has no attribute 'ap': did you mean shop:app?"),
        (
            "shop:zzzz",
            "'shop' ({path}) has no attribute 'zzzz': name one of its applications, as in shop:app",
        ),
        (
            "shop:site.mian",
            "'shop:site' ({path}) has no attribute 'mian': did you mean shop:site.main?",
        ),
        (
            "shop:answer",
            "shop:answer is of type int, which is not callable: name the application object",
        ),
        ("shop:answer()", "shop:answer() cannot be called: it is of type int"),
        (
            "shop:create_app(1, 2)",
            "shop:create_app(1, 2) does not fit: create_app() takes from 0 to 1 positional arguments "
            "but 2 were given: give literal arguments, as in \"shop:create_app('x')\"",
        ),
        (
            "shop:",
            "'shop:' does not name an application: "
            "use module:attribute, module or a path to a .py file",
        ),
        (
            ":app",
            "':app' does not name an application: "
            "use module:attribute, module or a path to a .py file",
        ),
    ],
)
def test_a_wrong_name_is_one_line_with_a_remedy(write: Write, target: str, line: str) -> None:
    path = write("shop.py", SHOP)
    error = error_of(target)
    assert str(error) == line.format(path=path)
    assert error.details == ""


@pytest.mark.parametrize(
    "call",
    [
        "create_app(",
        "create_app(x)",
        "create_app(*[1])",
        "create_app(**{})",
        "a b",
        "a+b",
        "1()",
        "a..b",
    ],
)
def test_what_is_neither_a_name_nor_a_call(write: Write, call: str) -> None:
    write("shop.py", SHOP)
    assert str(error_of(f"shop:{call}")).startswith(f"cannot read {call!r}: use a name")


def test_a_module_without_an_application(write: Write) -> None:
    write("shop.py", "def view(request): ...")
    write("empty.py")
    write("named.py", "def storefront(environ, start_response): ...")
    assert "callable in it are view" in str(error_of("shop"))
    assert "nothing in it can be called" in str(error_of("empty"))
    assert "as in named:storefront" in str(error_of("named"))


def test_a_django_project_is_pointed_to_its_modules(write: Write) -> None:
    write("shop/__init__.py")
    write("shop/asgi.py")
    write("shop/wsgi.py")
    assert str(error_of("shop")).endswith("make_app: did you mean shop.asgi or shop.wsgi?")
    assert str(error_of("shop:app")).endswith("did you mean shop.asgi or shop.wsgi?")


def test_a_factory_that_raises(write: Write) -> None:
    write("shop.py", "def create_app():\n    return {}['key']")
    error = error_of("shop:create_app()")
    assert str(error) == (
        "the factory shop:create_app() raised KeyError: 'key' (shop.py, line 2): "
        "see the traceback above"
    )
    assert error.details.count("File ") == 1


def test_a_factory_that_returns_no_application(write: Write) -> None:
    write("shop.py", "def create_app(): ...\nasync def make_app(): ...")
    assert "returned None" in str(error_of("shop"))
    assert "the factory is async, and must be a plain function" in str(error_of("shop:make_app()"))


def test_a_factory_that_was_not_called(write: Write) -> None:
    write("shop.py", "def create(): ...")
    assert "use 'shop:create()' or --factory" in str(error_of("shop:create"))


@pytest.mark.parametrize(
    ("file", "framework", "interface"),
    [
        ("hello_asgi.py", "", "asgi"),
        ("hello_wsgi.py", "", "wsgi"),
        ("flask_app.py", "Flask", "wsgi"),
        ("fastapi_app.py", "FastAPI", "asgi"),
    ],
)
def test_the_examples_need_no_flag(write: Write, file: str, framework: str, interface: str) -> None:
    if framework:
        pytest.importorskip(framework.lower())
    info = load(str(EXAMPLES / file)).info
    assert (info.name, info.framework, info.interface) == ("app", framework, interface)


def test_app_info_goes_through_a_pipe() -> None:
    info = AppInfo("app", "shop:app", "asgi", "FastAPI", "1.0")
    assert pickle.loads(pickle.dumps(info)) == info == AppInfo(*info.fields())
    assert hash(info) == hash(AppInfo(*info.fields()))
    assert info != "info"
    assert repr(info) == "AppInfo('app', 'shop:app', 'asgi', 'FastAPI', '1.0')"
    with pytest.raises(AttributeError, match="frozen"):
        info.name = "other"  # type: ignore[misc]
