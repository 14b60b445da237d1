"""The suite's own guards: a leak fails the test that made it, and an absent tool is named.

Owns the proof that tests/conftest.py sees what it says; each case runs a suite of one test in a
process of its own.
"""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

LEAKS = {
    "descriptor": "os.pipe()",
    "child": "subprocess.Popen(['cat'], stdin=subprocess.PIPE)",
    "task": "leave_a_task()",
    "thread": "threading.Thread(target=never.wait, daemon=True).start()",
}
MODULE = """
import asyncio, os, subprocess, threading
never = threading.Event()
kept = []

def leave_a_task():
    loop = asyncio.new_event_loop()
    loop.create_task(asyncio.Event().wait())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()

def test_it(require_tool):
    {body}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty suite under our conftest.py, without the plugins that only take time to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makeini("[pytest]\nfilterwarnings = error")
    return pytester


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_fails_its_test(suite: pytest.Pytester, kind: str) -> None:
    suite.makepyfile(MODULE.format(body=f"kept.append({LEAKS[kind]})"))
    result = suite.runpytest_subprocess()
    result.stdout.fnmatch_lines([f"*test_it leaked *{kind} *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    "body",
    [
        "[os.close(end) for end in os.pipe()]",
        "subprocess.run(['true'], check=True)",
    ],
)
def test_what_is_given_back_is_no_leak(suite: pytest.Pytester, body: str) -> None:
    suite.makepyfile(MODULE.format(body=body))
    assert suite.runpytest_subprocess().ret == pytest.ExitCode.OK


def test_an_absent_tool_is_named_at_the_end(suite: pytest.Pytester) -> None:
    suite.makepyfile(MODULE.format(body="require_tool('no-such-tool')"))
    result = suite.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*SKIPPED: no-such-tool is not installed: 1 tests did not run*"])
    result.assert_outcomes(skipped=1)
