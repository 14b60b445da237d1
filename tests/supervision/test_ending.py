"""A server that is told to end finishes what it has in hand, whatever that is, and ends well."""

import signal
import threading
from contextlib import ExitStack

from tests.process.conftest import Fifo
from tests.supervision import told
from tests.supervision.conftest import SOAK, Figure, Start
from tests.support.load import load
from tests.support.wire import Wire, request

BLOCKS = 320
"""Of 64 KiB: more than fits into the buffers on the way."""


def test_all_in_flight_is_finished(start: Start, fifo: Fifo, figure: Figure) -> None:
    """A slow request, a client that takes its time over a download, and server-sent events without an end."""
    server = start("echo_asgi", f"--stream-grace={2 if SOAK else 0.3}s")
    with ExitStack() as wires:
        paths = ["/slow/one", f"/download/{BLOCKS}", "/events/all"]
        slow, download, events = (
            wires.enter_context(Wire(server.address)).send(request(path)) for path in paths
        )
        server.wait_for_log("app is slow")
        server.wait_for_log("app sends events")
        server.wait_for_log("app sends a download")
        server.signal(signal.SIGTERM)
        server.wait_for_log(told.stop_has_begun())
        seen = events.answer()
        assert (seen.status, seen.complete) == (200, True)
        assert seen.body.startswith(b"data: first\n\n")
        assert seen.body.endswith(b"data: bye\n\n")
        whole = download.answer()
        assert (whole.status, whole.complete, len(whole.body)) == (200, True, BLOCKS << 16)
        # Longest of all, and beyond the grace of streams, which is none of its concern.
        if SOAK:
            threading.Event().wait(3.0)
        fifo.release()
        answer = slow.answer()
        assert (answer.status, answer.body, answer.header("connection")) == (200, b"one", "close")
    assert server.wait() == 0, server.log
    figure(f"events {len(seen.body)} bytes, download {len(whole.body)} bytes, exit status 0")


def test_an_end_under_load_resets_nobody(start: Start, interface: str, figure: Figure) -> None:
    """Who is connected is answered; who comes later is refused, and nothing else."""
    server = start(f"echo_{interface}")
    with load(server.address) as clients:
        clients.wait_for_answers(each=20)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0, server.log
        clients.wait_for_failure()
        result = clients.result()
    assert "refused" in result.kinds, str(result)
    # Where the last listening socket is closed at the very moment of a handshake, the kernel resets that.
    assert result.kinds.keys() <= {"refused", "no connection: ECONNRESET"}, str(result)
    figure(f"{sum(result.answered.values())} answered, then only refused")
