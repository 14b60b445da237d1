"""Imports that fail: which failure it was, and whose frames the traceback shows."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bicorn.errors import AppLoadError
from bicorn.gateway.importing import app_traceback, import_target

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def first_on_the_path(write: Write, tmp_path: Path) -> None:
    sys.path.insert(0, str(tmp_path))


def error_of(where: str) -> AppLoadError:
    with pytest.raises(AppLoadError) as caught:
        import_target(where)
    assert "\n" not in str(caught.value)
    return caught.value


def test_no_such_module(write: Write, tmp_path: Path) -> None:
    write("storefront.py")
    assert str(error_of("storefornt")) == (
        f"no module 'storefornt' in {tmp_path}: did you mean storefront?"
    )
    error = error_of("qqq.web")
    assert str(error) == (
        f"no module 'qqq' in {tmp_path}: change to its directory, or name that with --app-dir"
    )
    assert error.details == ""


def test_no_such_submodule(write: Write, tmp_path: Path) -> None:
    write("shop/__init__.py")
    write("shop/views.py")
    write("shop/admin/__init__.py")
    assert str(error_of("shop.view")) == (
        f"no module 'shop.view' in {tmp_path / 'shop'}: did you mean shop.views?"
    )
    assert "did you mean shop.admin?" in str(error_of("shop.admni.site"))


def test_a_dot_where_the_colon_belongs(write: Write) -> None:
    write("shop.py")
    assert str(error_of("shop.app")) == (
        "'shop' is a module and not a package: did you mean shop:app?"
    )


@pytest.mark.parametrize("missing", ["nosuchlibrary", "shop.nothing"])
def test_an_import_of_the_application_is_missing(write: Write, missing: str) -> None:
    write("shop/__init__.py")
    write("shop/web.py", f"\nimport {missing}")
    error = error_of("shop.web")
    assert str(error) == (
        f"importing 'shop.web' needs the module {missing!r}, which is not there "
        f"(shop/web.py, line 2): install it for {sys.executable}, or correct the import"
    )
    assert f"import {missing}" in error.details


def test_a_name_that_cannot_be_imported(write: Write) -> None:
    write("shop.py", "from os import nothing_like_it")
    error = error_of("shop")
    assert str(error).startswith("importing 'shop' raised ImportError: cannot import name")
    assert str(error).endswith("(shop.py, line 1): see the traceback above")


def test_the_traceback_shows_the_applications_frames_alone(write: Write) -> None:
    write("shop.py", "import parts\n")
    write(
        "parts.py",
        """\
        def broken():
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise LookupError("no such\\npart") from error
        broken()
        """,
    )
    error = error_of("shop.py")
    assert str(error) == (
        "importing 'shop' raised LookupError: no such (parts.py, line 5): see the traceback above"
    )
    assert "importlib" not in error.details
    assert "bicorn" not in error.details.replace(str(Path.cwd()), "")
    assert "ZeroDivisionError" in error.details
    assert error.details.count("parts.py") == 3
    assert error.details.count("shop.py") == 1


def test_a_group_is_cut_as_well(write: Write) -> None:
    write("parts.py", "1 / 0")
    write(
        "shop.py",
        """\
        try:
            import parts
        except ZeroDivisionError as error:
            raise ExceptionGroup("several", [error])
        """,
    )
    details = error_of("shop").details
    assert "importlib" not in details
    assert "parts.py" in details


def test_an_error_that_is_its_own_context_ends(write: Write) -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    assert "second" in app_traceback(first)


@pytest.mark.parametrize("module", ["shop", "web"])
def test_a_syntax_error_shows_the_place(write: Write, module: str) -> None:
    write("shop.py", "\ndef app(:\n")
    write("web.py", "import shop\n")
    error = error_of(module)
    assert str(error) == "syntax error in shop.py, line 2: invalid syntax"
    assert [line.strip() for line in error.details.splitlines()][-3:] == [
        "def app(:",
        "^",
        "SyntaxError: invalid syntax",
    ]


def test_an_application_that_ends_the_process(write: Write) -> None:
    write("shop.py", "import sys\nsys.exit('no licence')")
    assert str(error_of("shop")) == (
        "importing 'shop' ended the process (SystemExit: no licence) (shop.py, line 2): "
        "an application must return"
    )


def test_an_interrupt_is_not_the_applications_error(write: Write) -> None:
    write("shop.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        import_target("shop")


def test_a_file_named_like_a_loaded_module_that_raises(write: Write) -> None:
    path = write("os.py", "1 / 0")
    assert f"importing {path} raised ZeroDivisionError" in str(error_of("os.py"))
    assert "bicorn_app_os" not in sys.modules


def test_no_such_file(write: Write, tmp_path: Path) -> None:
    write("src/shop.py")
    assert str(error_of("src/shpo.py")) == "no file src/shpo.py: did you mean src/shop.py?"
    assert str(error_of("src/shop")) == "src/shop is not a .py file: did you mean src/shop.py?"
    assert str(error_of("./src")) == "./src is a directory: name a .py file in it, or a module"
    assert str(error_of("none/x.py")) == (
        f"no file none/x.py: {tmp_path / 'none'} has no file like it"
    )


def test_a_relative_name(write: Write) -> None:
    assert "use the whole name" in str(error_of(".shop"))
