"""Bind addresses: every form that is read, its canonical text, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bicorn.config.addresses import compose_addresses, parse_address


@pytest.mark.parametrize(
    ("text", "kind", "canonical"),
    [
        ("127.0.0.1:8000", "tcp", "127.0.0.1:8000"),
        ("localhost:0", "tcp", "localhost:0"),
        ("localhost", "tcp", "localhost:8000"),
        (":8000", "tcp", "0.0.0.0:8000"),
        ("9000", "tcp", "127.0.0.1:9000"),
        ("[::1]:8000", "tcp", "[::1]:8000"),
        ("[::]", "tcp", "[::]:8000"),
        ("unix:/run/app.sock", "unix", "unix:/run/app.sock"),
        ("unix:///run/app.sock", "unix", "unix:/run/app.sock"),
        ("fd://3", "fd", "fd://3"),
    ],
)
def test_forms(text: str, kind: str, canonical: str) -> None:
    address = parse_address(text)
    assert (address.kind, str(address)) == (kind, canonical)
    assert str(parse_address(canonical)) == canonical


def test_parts() -> None:
    tcp, unix, fd = (parse_address(text) for text in ("[::1]:80", "unix:/x", "fd://7"))
    assert (tcp.host, tcp.port) == ("::1", 80)
    assert unix.path == "/x"
    assert fd.fd == 7


def test_a_unix_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_address("unix:app.sock").path == str(tmp_path / "app.sock")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "use HOST:PORT"),
        ("http://localhost:80", "use HOST:PORT"),
        ("a b:80", "use HOST:PORT"),
        ("[::1]x", "use \\[::1\\]:8000"),
        ("[localhost]:80", "use \\[::1\\]:8000"),
        ("/run/app.sock", "use unix:/run/app.sock"),
        ("::1:8000", "as in \\[::1\\]:8000"),
        ("unix:/a\nb", "use another path"),
        ("unix:", "use unix:/run/app.sock"),
        ("localhost:http", "use a number from 0 to 65535"),
        ("localhost:65536", "use a number from 0 to 65535"),
        ("localhost:-1", "use a number from 0 to 65535"),
        ("localhost:", "use a number from 0 to 65535"),
        ("fd://x", "use a number"),
        ("unix:/" + "x" * 103, "longer than the 103 bytes"),
    ],
)
def test_refused_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        parse_address(text)


def test_the_longest_unix_path() -> None:
    assert parse_address("unix:/" + "x" * 102).kind == "unix"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"--host": "0.0.0.0"}, "0.0.0.0:8000"),
        ({"--port": "80"}, "127.0.0.1:80"),
        ({"--host": "::1", "--port": "80"}, "[::1]:80"),
        ({"--host": "[::1]"}, "[::1]:8000"),
        ({"--uds": "/x"}, "unix:/x"),
        ({"--fd": "3"}, "fd://3"),
    ],
)
def test_parts_of_an_address_are_composed(given: dict[str, str], address: str) -> None:
    assert compose_addresses(given) == [address]


@given(st.text() | st.from_regex(r"(\[|unix:|fd://)?[a-z0-9:.]*\]?(:[0-9]*)?"))
@example("localhost:" + "9" * 5000)
def test_any_text_is_an_address_or_a_reason(text: str) -> None:
    canonical, reason = canonical_or_reason(text)
    if reason:
        assert ": use " in reason or ": put " in reason
    else:
        assert canonical_or_reason(canonical) == (canonical, "")


def canonical_or_reason(text: str) -> tuple[str, str]:
    try:
        return str(parse_address(text)), ""
    except ValueError as error:
        return "", str(error)
