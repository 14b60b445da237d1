"""ASGI or WSGI by shape: plain objects of every kind, and the frameworks' own."""

import asyncio
import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any
from wsgiref.simple_server import demo_app
from wsgiref.validate import validator

import pytest

from bicorn.errors import AppLoadError
from bicorn.gateway.detection import detect, is_double_callable, single_callable
from bicorn.gateway.framework import framework_of


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> Any: ...


def other_names(env: Any, start: Any) -> Any: ...


def plain_asgi(scope: Any, receive: Any, send: Any) -> Any:
    return asgi(scope, receive, send)


def optional_extra(environ: Any, start_response: Any, extra: Any = None) -> Any: ...


def optional_names(a: Any, b: Any, c: Any = None) -> Any: ...


def defaulted_asgi(scope: Any, receive: Any = None, send: Any = None) -> Any: ...


async def any_arguments(*args: Any) -> None: ...


def generator(environ: Any, start_response: Any) -> Any:
    yield b""


def double(scope: Any) -> Any:
    async def call(receive: Any, send: Any) -> None:
        await send((scope, receive))

    return call


def with_wraps(app: Any) -> Any:
    @functools.wraps(app)
    def wrapper(*args: Any, **named: Any) -> Any:
        return app(*args, **named)

    return wrapper


def without_wraps(app: Any) -> Any:
    def wrapper(*args: Any) -> Any:
        return app(*args)

    return wrapper


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...
    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class AsyncAnything:
    async def __call__(self, *args: Any) -> None: ...


class WsgiClass:
    """The class of PEP 3333's own example: an instance is the answer."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...
    def __iter__(self) -> Any: ...


class AsgiClass:
    """Making an instance is the call, and awaiting it the answer."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...
    def __await__(self) -> Any: ...


class DoubleClass:
    def __init__(self, scope: Any) -> None: ...
    async def __call__(self, receive: Any, send: Any) -> None: ...


class NeedsName:
    def __init__(self, name: str) -> None: ...
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (asgi, "asgi"),
        (plain_asgi, "asgi"),
        (defaulted_asgi, "asgi"),
        (any_arguments, "asgi"),
        (AsgiObject(), "asgi"),
        (AsgiObject().method, "asgi"),
        (AsyncAnything(), "asgi"),
        (AsgiClass, "asgi"),
        (functools.partial(lambda extra, scope, receive, send: None, 1), "asgi"),
        (functools.partial(asgi), "asgi"),
        (with_wraps(asgi), "asgi"),
        (with_wraps(with_wraps(any_arguments)), "asgi"),
        (without_wraps(asgi), "asgi"),
        (wsgi, "wsgi"),
        (other_names, "wsgi"),
        (optional_extra, "wsgi"),
        (optional_names, "wsgi"),
        (generator, "wsgi"),
        (demo_app, "wsgi"),
        (validator(demo_app), "wsgi"),
        (WsgiObject(), "wsgi"),
        (WsgiClass, "wsgi"),
        (functools.partial(lambda extra, environ, start_response: None, 1), "wsgi"),
        (with_wraps(wsgi), "wsgi"),
        (without_wraps(WsgiObject()), "wsgi"),
        (double, "asgi2"),
        (DoubleClass, "asgi2"),
    ],
)
def test_shapes(app: object, interface: str) -> None:
    assert detect(app, "shop:app") == interface
    assert is_double_callable(app) == (interface == "asgi2")


async def async_of_two(environ: Any, start_response: Any) -> None: ...


@pytest.mark.parametrize(
    ("app", "line"),
    [
        ("text", "shop:app is of type str, which is not callable: name the application object"),
        (asyncio, "shop:app is of type module, which is not callable: name an attribute of it"),
        (
            lambda: None,
            "shop:app takes no arguments, so it looks like a factory: use 'shop:app()' or --factory",
        ),
        (lambda request: None, "shop:app takes one argument, and neither ASGI"),
        (lambda a, b, c, d: None, "shop:app needs 4 arguments, where ASGI passes"),
        (lambda *args: None, "cannot tell whether shop:app is ASGI or WSGI, because it takes any"),
        (without_wraps(without_wraps(wsgi)), "cannot tell whether shop:app is ASGI or WSGI"),
        (dict, "cannot tell whether shop:app is ASGI or WSGI, because it hides its arguments"),
        (async_of_two, "shop:app is async and takes two arguments, where ASGI passes"),
        (
            AsgiObject,
            "shop:app is a class whose instances are applications: make one with 'shop:app()'",
        ),
        (
            NeedsName,
            "shop:app is a class whose instances are applications: make one with 'shop:app(...)'",
        ),
        (ValueError, "cannot tell whether shop:app"),
        (type("Plain", (), {}), "shop:app is a class, and its instances are neither"),
        (
            type("Empty", (), {"__call__": lambda self: None})(),
            "shop:app takes no arguments when called",
        ),
    ],
)
def test_what_cannot_be_served_is_one_line_with_a_remedy(app: object, line: str) -> None:
    with pytest.raises(AppLoadError) as caught:
        detect(app, "shop:app")
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_closure_that_holds_itself_ends() -> None:
    def recursive() -> Callable[..., Any]:
        def app(*args: Any) -> Any:
            return app(*args)

        return app

    with pytest.raises(AppLoadError, match="any number of arguments"):
        detect(recursive(), "shop:app")


def test_a_closure_over_both_is_not_guessed() -> None:
    def either(*args: Any) -> Any:
        return (local_asgi if len(args) == 3 else local_wsgi)(*args)

    local_asgi, local_wsgi = asgi, wsgi
    with pytest.raises(AppLoadError, match="--interface"):
        detect(either, "shop:app")


def test_a_double_callable_as_a_single_one() -> None:
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(StopIteration):
        single_callable(double)("scope", "receive", send).__await__().__next__()  # type: ignore[attr-defined]
    assert sent == [("scope", "receive")]


def django(kind: str) -> object:
    from django.conf import settings

    if not settings.configured:
        settings.configure(SECRET_KEY="test", ALLOWED_HOSTS=["*"])
    return getattr(importlib.import_module(f"django.core.{kind}"), f"get_{kind}_application")()


def made(module: str, name: str, *args: object, **named: object) -> Any:
    return getattr(importlib.import_module(module), name)(*args, **named)


FRAMEWORKS: list[tuple[str, str, str, Callable[[], object]]] = [
    ("bottle", "Bottle", "wsgi", lambda: made("bottle", "Bottle")),
    ("cherrypy", "CherryPy", "wsgi", lambda: made("cherrypy", "Application", object(), "")),
    ("cherrypy", "CherryPy", "wsgi", lambda: importlib.import_module("cherrypy").tree),
    ("django", "Django", "asgi", lambda: django("asgi")),
    ("django", "Django", "wsgi", lambda: django("wsgi")),
    ("fastapi", "FastAPI", "asgi", lambda: made("fastapi", "FastAPI")),
    ("flask", "Flask", "wsgi", lambda: made("flask", "Flask", "shop")),
    # Its logging would start a thread, which it never ends.
    ("litestar", "Litestar", "asgi", lambda: made("litestar", "Litestar", logging_config=None)),
    ("pyramid", "Pyramid", "wsgi", lambda: made("pyramid.config", "Configurator").make_wsgi_app()),
    ("quart", "Quart", "asgi", lambda: made("quart", "Quart", "shop")),
    ("sanic", "Sanic", "asgi", lambda: made("sanic", "Sanic", "shop")),
    ("starlette", "Starlette", "asgi", lambda: made("starlette.applications", "Starlette")),
]


@pytest.mark.parametrize(
    ("package", "name", "interface", "make"),
    FRAMEWORKS,
    ids=[f"{name} {interface}" for _, name, interface, _ in FRAMEWORKS],
)
def test_frameworks(package: str, name: str, interface: str, make: Any) -> None:
    pytest.importorskip(package)
    with warnings.catch_warnings():
        # What a framework deprecates in another one while it is imported is between the two.
        warnings.simplefilter("ignore")
        app = make()
    assert detect(app, "shop:app") == interface
    framework, version = framework_of(app)
    assert framework == name
    assert version.split(".")[0].isdigit()


def test_no_framework_has_no_name() -> None:
    assert framework_of(asgi) == ("", "")
