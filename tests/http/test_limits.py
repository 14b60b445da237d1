"""Each bound on the bytes of a request: accepted at the limit, refused one past it."""

import pytest

from tests.support.server import Server
from tests.support.wire import Answer, Wire, request

KIB = 1024
HEAD_BOUND = 8 * KIB
HOST = "Host: test\r\n"


def status_of(server: Server, data: bytes) -> int:
    with Wire(server.address) as wire:
        answer = wire.send(data).answer()
        assert answer.complete
        if answer.status != 200:
            assert answer.header("connection") == "close"
            assert wire.is_closed()
        return answer.status


@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 414)])
def test_request_line(limited: Server, excess: int, status: int) -> None:
    target = "/" + "a" * (KIB + excess - len("GET / HTTP/1.1"))
    assert status_of(limited, request(target)) == status


def test_an_endless_request_line_is_refused_before_it_ends(limited: Server) -> None:
    assert status_of(limited, b"GET /" + b"a" * 2 * KIB) == 414


@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 431)])
def test_header_section(limited: Server, excess: int, status: int) -> None:
    start = f"GET / HTTP/1.1\r\n{HOST}X-A: "
    filling = "a" * (HEAD_BOUND + excess - len(start) - len("\r\n\r\n"))
    assert status_of(limited, (start + filling + "\r\n\r\n").encode()) == status


def test_an_endless_header_section_is_refused_before_it_ends(limited: Server) -> None:
    assert status_of(limited, f"GET / HTTP/1.1\r\n{HOST}X-A: {'a' * HEAD_BOUND}".encode()) == 431


@pytest.mark.parametrize(("count", "status"), [(20, 200), (21, 431)])
def test_header_fields(limited: Server, count: int, status: int) -> None:
    fields = tuple(f"X-{number}: a" for number in range(count - 1))
    assert status_of(limited, request(headers=fields)) == status


@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 413)])
def test_body_of_known_length(limited: Server, excess: int, status: int) -> None:
    body = b"a" * (KIB * KIB + excess)
    assert status_of(limited, request("/count", method="POST", body=body)) == status


@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 413)])
def test_chunked_body(limited: Server, excess: int, status: int) -> None:
    sizes = [KIB * KIB // 2, KIB * KIB // 2 + excess]
    chunks = b"".join(b"%x\r\n%b\r\n" % (size, b"a" * size) for size in sizes)
    head = request("/count", method="POST", headers=("Transfer-Encoding: chunked",))
    assert status_of(limited, head + chunks + b"0\r\n\r\n") == status


def test_a_client_that_sends_all_of_a_refused_body_first_still_gets_its_answer(
    limited: Server,
) -> None:
    with Wire(limited.address) as wire:
        wire.send(request("/count", method="POST", body=b"a" * 10_000_000))
        answer = wire.answer()
        assert (answer.status, answer.complete) == (413, True)
        assert wire.is_closed()


def test_a_client_that_sends_all_of_an_unwanted_body_first_still_gets_its_answer(
    server: Server,
) -> None:
    answer = send_unwanted(server, 10_000_000)
    assert (answer.status, answer.complete) == (200, True)


def send_unwanted(server: Server, length: int) -> Answer:
    with Wire(server.address) as wire:
        wire.send(request("/ignore", method="POST", body=b"a" * length))
        answer = wire.answer()
        # Only what buffers the body first can promise to go on.
        if answer.header("connection") == "close":
            assert wire.is_closed()
        return answer


def test_a_head_of_the_largest_size_by_byte_is_bounded_work(limited: Server) -> None:
    fields = "".join(f"X-{number}: {'a' * 360}\r\n" for number in range(19))
    data = f"GET / HTTP/1.1\r\n{HOST}{fields}\r\n".encode()
    with Wire(limited.address) as wire:
        for at in range(len(data)):
            wire.socket.send(data[at : at + 1])
        assert wire.answer().status == 200
