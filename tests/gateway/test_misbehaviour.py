"""What an application does wrong, for both gateways: the client gets one answer, well formed or visibly broken,
the worker lives, the next request works, and the error is logged once.
"""

import enum
from collections.abc import Iterator

import pytest

from tests.support.server import Server, serving
from tests.support.wire import Wire, request

from .conftest import APPS, QUIET


class Outcome(enum.Enum):
    """What the client gets, and whether the log tells of it."""

    FAILED = "500, logged"
    BROKEN = "the beginning of a 200, logged"
    LATE = "a complete 200, logged"
    FINE = "a complete 200"


FAILED, BROKEN, LATE, FINE = Outcome
BOTH = ("asgi", "wsgi")

KINDS = (
    "LookupError", "SystemExit", "KeyboardInterrupt", "RecursionError", "MemoryError", "GeneratorExit",
    "CancelledError", "StopIteration", "StopAsyncIteration", "TimeoutError", "BrokenPipeError", "Group",
    "Unprintable", "Custom",
)  # fmt: skip
STAGES = {
    "when-called": (FAILED, BOTH),
    "at-once": (FAILED, BOTH),
    "after-start": (FAILED, BOTH),
    "in-body": (BROKEN, BOTH),
    "after-end": (LATE, BOTH),
    "in-close": (LATE, ("wsgi",)),
}

CASES: dict[str, tuple[Outcome, tuple[str, ...]]] = {
    **{f"{stage}.{kind}": STAGES[stage] for stage in STAGES for kind in KINDS},
    "nothing": (FAILED, BOTH),
    "start-only": (FAILED, BOTH),
    "unfinished": (BROKEN, ("asgi",)),
    "body-before-start": (FAILED, BOTH),
    "start-twice": (FAILED, BOTH),
    "start-in-body": (BROKEN, BOTH),
    "start-after-end": (LATE, ("asgi",)),
    "body-after-end": (LATE, ("asgi",)),
    "unknown-message": (FAILED, ("asgi",)),
    "unknown-message-in-body": (BROKEN, ("asgi",)),
    "message-of-none": (FAILED, ("asgi",)),
    "message-without-type": (FAILED, ("asgi",)),
    "too-long": (FAILED, BOTH),
    "too-short": (FAILED, BOTH),
    "too-long-in-pieces": (BROKEN, BOTH),
    "too-short-in-pieces": (BROKEN, BOTH),
    "crlf-in-header": (FAILED, BOTH),
    "crlf-in-name": (FAILED, BOTH),
    "crlf-in-status": (FAILED, ("wsgi",)),
    "header-of-wrong-type": (FAILED, BOTH),
    "header-name-beyond-ascii": (FAILED, BOTH),
    "header-value-beyond-ascii": (FINE, BOTH),
    "header-value-beyond-latin-1": (FAILED, ("wsgi",)),
    "headers-of-none": (FAILED, ("wsgi",)),
    "length-no-number": (FAILED, BOTH),
    "status-too-small": (FAILED, BOTH),
    "status-too-large": (FAILED, ("asgi",)),
    "status-informational": (FAILED, BOTH),
    "status-of-wrong-type": (FAILED, BOTH),
    "status-without-number": (FAILED, ("wsgi",)),
    "body-of-str": (FAILED, BOTH),
    "body-of-list": (FAILED, ("asgi",)),
    "body-of-str-in-body": (BROKEN, BOTH),
    "huge-header": (FINE, BOTH),
    "many-headers": (FINE, BOTH),
    "returns-none": (FAILED, BOTH),
    "returns-str": (FAILED, BOTH),
    "returns-bytes": (FAILED, ("wsgi",)),
    "returns-number": (FAILED, ("wsgi",)),
    "returns-list": (FAILED, BOTH),
    "returns-mixed-list": (BROKEN, ("wsgi",)),
    "returns-list-of-none": (FAILED, ("wsgi",)),
    "returns-generator": (FAILED, BOTH),
    "returns-broken-iterable": (FAILED, BOTH),
    "returns-nonsense": (FAILED, ("asgi",)),
    "cancels-itself": (FAILED, ("asgi",)),
    "cancels-itself-in-body": (BROKEN, ("asgi",)),
    "recurses": (FAILED, BOTH),
    "never-reads": (FINE, BOTH),
    "goes-on-after-the-end": (FINE, ("asgi",)),
    "leaves-a-task-behind": (FAILED, ("asgi",)),
    "ignores-contract-errors": (FINE, BOTH),
    "writes-str": (FAILED, ("wsgi",)),
    "writes-before-it-fails": (BROKEN, ("wsgi",)),
}
OVERRULED = {
    # A task that is cancelled when its answer is complete, as at the end of the server, has done no wrong.
    ("asgi", "after-end.CancelledError"): FINE,
}
TABLE = [(interface, name) for name, (_, interfaces) in CASES.items() for interface in interfaces]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, tuple[Server, list[int]]]]:
    with (
        serving("misbehaving_asgi:app", *QUIET, cwd=APPS) as asgi,
        serving("misbehaving_wsgi:app", *QUIET, cwd=APPS) as wsgi,
    ):
        yield {"asgi": (asgi, asgi.workers()), "wsgi": (wsgi, wsgi.workers())}


@pytest.mark.parametrize(("interface", "name"), TABLE)
def test_misbehaviour(
    servers: dict[str, tuple[Server, list[int]]], interface: str, name: str
) -> None:
    server, workers = servers[interface]
    outcome = OVERRULED.get((interface, name), CASES[name][0])
    complaints = complaints_of(server)
    with Wire(server.address) as wire:
        wire.send(request(f"/{name}", method="POST", body=b"a body"))
        status, body, is_complete = one_answer(wire)
        if outcome is FAILED:
            assert (status, body, is_complete) == (500, b"Internal Server Error\n", True)
        else:
            assert (status, body[:3]) == (200, b"abc")
            assert is_complete == (outcome is not BROKEN)
        assert nothing_follows(wire)
    if outcome is not FINE:
        server.wait_for_log(rf" POST /{name} HTTP/1.1 failed \(request [-.0-9a-f]+\)$")
    with Wire(server.address) as wire:
        assert one_answer(wire.send(request("/fine"))) == (200, b"abc", True)
    assert server.workers() == workers
    assert server.log.count(f" POST /{name} HTTP/1.1 failed") == (outcome is not FINE)
    assert complaints_of(server) == complaints


def complaints_of(server: Server) -> int:
    """What the interpreter and the loop say where an exception was lost."""
    return server.log.count("never retrieved") + server.log.count("Exception ignored")


def one_answer(wire: Wire) -> tuple[int, bytes, bool]:
    answer = wire.answer()
    return answer.status, answer.body, answer.complete


def nothing_follows(wire: Wire) -> bool:
    """Whether the connection is kept, without another byte, or has ended."""
    wire.socket.settimeout(0.001)
    try:
        return wire.socket.recv(1) == b""
    except (TimeoutError, ConnectionResetError):
        return True


@pytest.mark.parametrize("interface", BOTH)
def test_an_application_may_go_on_without_its_client(
    servers: dict[str, tuple[Server, list[int]]], interface: str
) -> None:
    server, workers = servers[interface]
    with Wire(server.address) as wire:
        wire.send(request("/goes-on-without-client"))
        assert wire.socket.recv(1000)
    server.wait_for_log(r"^went on without client", stream="out")
    with Wire(server.address) as wire:
        assert one_answer(wire.send(request("/fine"))) == (200, b"abc", True)
    assert server.workers() == workers
    assert "goes-on-without-client" not in server.log
