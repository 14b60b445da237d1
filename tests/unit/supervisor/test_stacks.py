"""What a worker says is read with care: by faulthandler's format, and believing nothing."""

import _thread
import os

import pytest

import bicorn
from bicorn.reserved import DOING_MARK, END_MARK, TASKS_MARK
from bicorn.supervisor.stacks import Stacks, answer_in, has_end, printable

PACKAGE = os.path.dirname(os.path.abspath(bicorn.__file__))
LIBRARY = os.path.dirname(os.path.abspath(os.__file__))
MAIN = f"Current thread {_thread.get_ident():#018x} (most recent call first):"


def stacks(*lines: str) -> Stacks:
    return Stacks("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


def place(*files: str) -> str:
    told = stacks(MAIN, *(f'  File "{file}", line {n} in f{n}' for n, file in enumerate(files, 1)))
    assert told.main_thread is not None
    frame = told.main_thread.application_frame()
    return f"{frame.file}:{frame.line}:{frame.function}" if frame is not None else ""


SOCKET = f"{LIBRARY}/socket.py"
INSTALLED = "/venv/lib/python3.11/site-packages/flask/app.py"
HOST = f"{PACKAGE}/hosts/plain.py"
START = "/venv/bin/bicorn"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((SOCKET, "/srv/app.py", INSTALLED, HOST, START), "/srv/app.py:2:f2"),
        ((SOCKET, INSTALLED, "/srv/app.py", HOST, START), "/srv/app.py:3:f3"),
        ((SOCKET, INSTALLED, HOST, START), f"{INSTALLED}:2:f2"),
        (("app.py", HOST, "<frozen runpy>"), "app.py:1:f1"),
        (
            (f"{LIBRARY}/site-packages/django/x.py", HOST),
            f"{LIBRARY}/site-packages/django/x.py:1:f1",
        ),
        ((SOCKET, HOST, START), ""),
        ((HOST, START), ""),
        (("<frozen importlib._bootstrap>",), ""),
        ((), ""),
    ],
)
def test_where_the_application_is(files: tuple[str, ...], expected: str) -> None:
    assert place(*files) == expected


def test_threads_and_tasks() -> None:
    told = stacks(
        "Thread 0x00007f0000000001 (most recent call first):",
        '  File "/srv/odd", line 1 in "x.py", line 2 in f',
        "  <no Python frame>",
        "",
        MAIN,
        '  File "/srv/app.py", line 3 in <module>',
        TASKS_MARK,
        f"{DOING_MARK}GET /slow",
        "task 'one': view (most recent call first):",
        '  File "/srv/app.py", line 4 in view',
        END_MARK,
        "and nothing of this",
    )
    main, other = told.threads
    assert (main.is_main, main.is_speaker, len(main.frames)) == (True, True, 1)
    assert (other.identity, other.is_main) == (0x7F0000000001, False)
    assert [frame.file for frame in other.frames] == ['/srv/odd", line 1 in "x.py', ""]
    assert told.doing == "GET /slow"
    assert told.tasks == [
        "task 'one': view (most recent call first):",
        '  File "/srv/app.py", line 4 in view',
    ]
    assert told.is_python_running


def test_without_pythons_part() -> None:
    told = stacks(MAIN, '  File "/srv/app.py", line 3 in f')
    assert not told.is_python_running
    assert told.tasks == []
    assert told.main_thread is not None


@pytest.mark.parametrize(
    "noise", [b"", b"\n\n", b"\xff\x00\x1b[2J" * 99, b"Thread 0xzz\n", b"@tasks\n@end\n", b"@end"]
)
def test_noise_is_no_trouble(noise: bytes) -> None:
    for data in (noise, noise + f"\n{MAIN}\n  x\n{TASKS_MARK}\n{END_MARK}\n".encode()):
        told = Stacks(data)
        assert all(frame.text.isprintable() for thread in told.threads for frame in thread.frames)
        assert all(line.isprintable() for line in told.tasks)
        assert has_end(data) == (data != noise)


def test_the_rest_of_a_former_answer_is_cut_off() -> None:
    former = f"  File\n{TASKS_MARK}\ntask (most recent call first):\n{END_MARK}\n".encode()
    answer = f"{MAIN}\n".encode()
    assert not has_end(former)
    assert answer_in(former) == b""
    assert answer_in(former + answer) == answer
    assert not has_end(former + answer)


def test_nothing_reaches_the_terminal_that_moves_it() -> None:
    assert printable("GET /häuser?x=\x1b[2J\u202e\udc80") == "GET /häuser?x=\\x1b[2J\\u202e\\udc80"
    assert printable("plain") == "plain"


def test_how_the_parent_came_to_the_fork_is_left_out() -> None:
    files = (
        "/srv/app.py",
        HOST,
        f"{PACKAGE}/worker/worker.py",
        f"{PACKAGE}/supervisor/x.py",
        START,
    )
    told = stacks(MAIN, *(f'  File "{file}", line 1 in f' for file in files))
    assert told.main_thread is not None
    assert [frame.file for frame in told.main_thread.own_frames()] == list(files[:3])
