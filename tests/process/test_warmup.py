"""The request that a worker makes of its application before anybody else can."""

import signal

import pytest

from tests.process.conftest import APPS, Fifo, Start, refuses
from tests.support.server import serving
from tests.support.wire import Wire, request


def test_the_application_is_asked_before_it_serves(interface: str) -> None:
    with serving(f"{interface}:app", "--warmup-path=/print?a=b", "--workers=2", cwd=APPS) as server:
        server.wait_for_log(r"^(printed ){20}$", stream="out")
        line = r'^- - - \[.*\] "GET /print\?a=b HTTP/1\.1" 200 \d+ "-" "bicorn-warmup" \d+$'
        server.wait_for_log(line, stream="out")
        with Wire(server.address) as wire:
            assert wire.send(request()).answer().status == 200


@pytest.mark.parametrize(
    ("path", "answer"),
    [("/raise", "answered 500"), ("/status/404", "answered 404"), ("no-slash", "answered 400")],
)
def test_another_answer_fails_the_start(
    interface: str, start: Start, path: str, answer: str
) -> None:
    server = start(f"{interface}:app", "-b", "127.0.0.1:0", f"--warmup-path={path}")
    assert server.wait() == 5
    last = server.log.splitlines()[-1]
    expected = (
        f"bicorn: GET {path} {answer}: a worker serves when that is 2xx or 3xx (--warmup-path)"
    )
    assert last == expected
    assert ("the application's own" in server.log) == (path == "/raise")


def test_a_redirect_will_do(interface: str) -> None:
    with serving(f"{interface}:app", "--warmup-path=/status/307", cwd=APPS) as server:
        server.wait_for_log(r'"GET /status/307 HTTP/1\.1" 307 ', stream="out")


def test_nobody_listens_before_the_answer_and_a_signal_ends_the_wait(
    interface: str, start: Start, fifo: Fifo, port: int
) -> None:
    server = start(
        f"{interface}:app",
        "-b",
        f"127.0.0.1:{port}",
        "--warmup-path=/wait",
        environment={"REQUEST_FIFO": fifo.path},
    )
    server.wait_for_log("app waits")
    assert refuses(port)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0, server.log
    assert "Traceback" not in server.log
