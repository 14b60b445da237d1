"""The client of these tests counts nothing against a server that is well, and everything against one that is not."""

import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.supervision.conftest import ABRUPT, Start
from tests.support.load import load


def test_a_server_that_is_well_fails_nobody(start: Start, interface: str) -> None:
    server = start(f"echo_{interface}")
    with load(server.address) as clients:
        clients.wait_for_answers(each=20)
        result = clients.result()
    assert result.failed == 0, str(result)
    assert result.ended_idle == 0
    assert set(result.workers) == set(server.workers())
    assert list(result.versions) == ["1"]
    assert sum(seen.count for seen in result.workers.values()) == sum(result.answered.values())
    assert 0 < result.p99["fresh"] <= result.longest["fresh"] + 0.001


def test_a_count_and_a_rate_are_kept(start: Start) -> None:
    server = start("echo_wsgi", workers=1)
    with load(server.address, {"keep-alive": 2, "fresh": 2}, rate=200, count=25) as clients:
        result = clients.result()
    assert (result.failed, sum(result.answered.values())) == (0, 100), str(result)
    [seen] = result.workers.values()
    assert seen.last - seen.first >= 90 / 200


def test_a_worker_that_is_killed_is_noticed(start: Start, interface: str) -> None:
    server = start(f"echo_{interface}")
    [killed, _] = server.workers()
    with load(server.address, {"keep-alive": 8}) as clients:
        clients.wait_for_worker(killed)
        # Stopped first, so that there are requests in its hands.
        os.kill(killed, signal.SIGSTOP)
        clients.wait_for_answers(each=50)
        os.kill(killed, signal.SIGKILL)
        clients.wait_for_failure()
        result = clients.result()
    assert result.kinds.keys() <= ABRUPT, str(result)


def test_a_server_that_is_gone_is_noticed(start: Start) -> None:
    server = start("echo_wsgi")
    with load(server.address, {"fresh": 2}) as clients:
        server.signal(signal.SIGKILL)
        server.wait()
        result = clients.wait_for_failure()
        while "refused" not in result.kinds:
            result = clients.go_on_for(0)


ANSWERS = {
    "status 503": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    "wrong body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother",
    "malformed": b"HTTP/1.0 what\r\n\r\n",
    "ended inside a head": b"HTTP/1.1 200 OK\r\nContent-",
    "ended inside an answer": b"HTTP/1.1 200 OK\r\nX-Worker: 7\r\nContent-Length: 50\r\n\r\nkeep",
    "closed under a request": b"",
    "reset under a request": None,
}
"""What a kept-alive connection gets for its second request, and what that is called."""
GOOD = b"HTTP/1.1 200 OK\r\nX-Worker: 7\r\nX-Version: 1\r\nContent-Length: %d\r\n\r\n%s"


@pytest.mark.parametrize("kind", ANSWERS)
def test_each_wrong_answer_is_counted(kind: str) -> None:
    with answering(ANSWERS[kind]) as address, load(address, {"keep-alive": 1}) as clients:
        result = clients.wait_for_failure()
    assert next(iter(result.kinds)) == kind, str(result)
    assert result.failures[0].pid == 7


def test_an_end_before_the_first_answer_is_counted() -> None:
    with answering(b"") as address, load(address, {"keep-alive": 1}) as clients:
        result = clients.wait_for_failure()
        while "ended before an answer" not in result.kinds:
            result = clients.go_on_for(0)


@contextmanager
def answering(last: bytes | None) -> Iterator[tuple[str, int]]:
    """A server of one thread. Its first connection gets a good answer, because clients begin with one, and then, as
    all later ones at once, ``last`` and the end; or a reset where that is None."""

    def serve() -> None:
        is_first = True
        # Shut down, it accepts no more.
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                # A client that leaves before it is answered is no concern of this test.
                with connection, suppress(OSError):
                    if is_first:
                        word = connection.recv(4096).split()[1].rpartition(b"/")[2]
                        connection.sendall(GOOD % (len(word), word))
                    is_first = False
                    part(connection, last)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def part(connection: socket.socket, last: bytes | None) -> None:
    connection.recv(4096)
    if last is None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        connection.sendall(last)
