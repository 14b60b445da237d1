"""Hooks are found, misspelt ones are refused, and none of them stops the server."""

import itertools
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bicorn.config import Config
from bicorn.errors import AppLoadError, explain
from bicorn.hook_caller import HookCaller, load
from bicorn.hooks import NAMES, Hooks, ServerView, WorkerView
from bicorn.log.line import LineLog

LOG = LineLog("info")
SERVER = ServerView(pid=7, config=Config(), generation=1)
WORKER = WorkerView(pid=8, slot=0, generation=1)

Write = Callable[[str], str]
_numbers = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Makes a module of the text; its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])

    def write_one(text: str) -> str:
        name = f"hooks_of_a_test_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return name

    yield write_one
    for name in [name for name in sys.modules if name.startswith("hooks_of_a_test_")]:
        del sys.modules[name]


def called(target: str) -> HookCaller:
    return load(Config(hooks=target), LOG)


def refusal(target: str) -> str:
    with pytest.raises(AppLoadError) as caught:
        called(target)
    return str(caught.value)


TELL = """
    from bicorn.hooks import Hooks
    seen = []
    def on_starting(server): seen.append(("function", server.pid))
    class Told(Hooks):
        def on_starting(self, server): seen.append(("method", server.pid))
        def worker_exit(self, server, worker): seen.append((server.pid, worker.pid))
    told = Told()
    from os.path import join as worker_join
    """


@pytest.mark.parametrize(
    ("name", "what"), [("", "function"), (":Told", "method"), (":told", "method")]
)
def test_a_module_a_class_and_an_instance(write: Write, name: str, what: str) -> None:
    module = write(TELL)
    caller = called(module + name)
    caller.call("on_starting", SERVER)
    caller.call("on_exit", SERVER)
    assert sys.modules[module].seen == [(what, 7)]
    assert caller.has("on_starting")
    assert not caller.has("on_exit")


def test_both_views_are_given(write: Write) -> None:
    module = write(TELL)
    called(f"{module}:Told").call("worker_exit", SERVER, WORKER)
    assert sys.modules[module].seen == [(7, 8)]


def test_without_hooks_nothing_is_called() -> None:
    caller = called("")
    for name in NAMES:
        assert not caller.has(name)
        caller.call(name, SERVER)


@pytest.mark.parametrize(
    "raised", ["ValueError('mine')", "SystemExit(3)", "KeyboardInterrupt('mine')"]
)
def test_what_a_hook_raises_is_logged_and_passed_over(
    write: Write, capsys: pytest.CaptureFixture[str], raised: str
) -> None:
    module = write(f"def on_reload(server):\n    raise {raised}\n")
    called(module).call("on_reload", SERVER)
    said = capsys.readouterr().err
    assert " ERROR    the hook on_reload raised, and is passed over:\nTraceback" in said
    assert f'{module}.py", line 2, in on_reload' in said
    assert "hook_caller.py" not in said


def test_a_slow_hook_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter((10.0, 12.5, 20.0, 20.9))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    caller = HookCaller({"pre_fork": lambda _server, _worker: None}, LOG)
    caller.call("pre_fork", SERVER, WORKER)
    assert "the hook pre_fork took 2.5 s" in capsys.readouterr().err
    caller.call("pre_fork", SERVER, WORKER)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def on_relaod(server): pass", "on_relaod is no hook: did you mean on_reload?"),
        ("def pre_exec(server): pass", "pre_exec is no hook: they are on_starting, "),
        ("def helper(): pass", "there is no hook in it: the hooks are on_starting, "),
        ("async def on_exit(server): pass", "on_exit is async, and the parent has no event loop"),
        (
            "def worker_exit(server): pass",
            "worker_exit takes (server): define it as worker_exit(server, worker)",
        ),
        ("on_exit = 3", "on_exit cannot be called: make it a function"),
        ("def on_exit(server) pass", "raised SyntaxError: "),
        ("raise SystemExit(3)", "raised SystemExit: 3: see the traceback above"),
        ("import no_such_module_at_all", "raised ModuleNotFoundError: No module named 'no_such"),
    ],
)
def test_what_cannot_be_meant_is_refused(write: Write, text: str, line: str) -> None:
    module = write(text)
    said = refusal(module)
    assert said.startswith(f"--hooks {module}")
    assert line in said


def test_a_callable_object_may_not_be_async(write: Write) -> None:
    module = write("""
        class Call:
            async def __call__(self, server): pass
        on_exit = Call()
        """)
    assert "on_exit is async" in refusal(module)


def test_a_method_that_is_misspelt(write: Write) -> None:
    module = write("""
        from bicorn.hooks import Hooks
        class Mine(Hooks):
            def worker_exits(self, server, worker): pass
        """)
    assert "worker_exits is no hook: did you mean worker_exit?" in refusal(f"{module}:Mine")


def test_names_that_are_not_there(write: Write) -> None:
    module = write(TELL)
    assert "the module has no toldd: did you mean told?" in refusal(f"{module}:toldd")
    assert "there is no module no_such_hooks:" in refusal("no_such_hooks")


def test_the_traceback_begins_with_the_operators_own_line(write: Write) -> None:
    module = write("def fail():\n    raise ValueError('mine')\nfail()\n")
    with pytest.raises(AppLoadError) as caught:
        called(module)
    lines = explain(caught.value).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert f'{module}.py", line 3' in lines[1]
    assert lines[-1] == f"bicorn: --hooks {module} raised ValueError: mine: see the traceback above"


def test_what_looks_like_no_hook_may_be_there(write: Write) -> None:
    module = write("""
        from bicorn.hooks import Hooks
        class Mine(Hooks):
            def __init__(self): self.count = 0
            def _on_something(self): pass
            def announce(self): pass
            def on_exit(self, *views): self.announce()
        """)
    assert called(f"{module}:Mine").has("on_exit")


def test_the_base_class_alone_is_no_mistake() -> None:
    assert not called("bicorn.hooks:Hooks").has("on_exit")
    assert isinstance(Hooks(), Hooks)
