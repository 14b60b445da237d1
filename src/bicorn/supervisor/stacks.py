"""What a worker has said when it was asked: the stacks of its threads, and of its tasks.

Owns reading that text, of which nothing is believed: an application may have written into it. The writers are
`faulthandler` and `bicorn.worker.report`.
"""

from __future__ import annotations

import _thread
import itertools
import os

from bicorn.reserved import DOING_MARK, END_MARK, TASKS_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADINGS = ("Current thread 0x", "Thread 0x")
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PARENT = os.path.join(_PACKAGE, "supervisor", "")
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class Frame:
    """A line of a stack; ``file`` is empty where it is no frame of Python."""

    __slots__ = ("file", "function", "line", "text")

    def __init__(self, text: str) -> None:
        self.text = printable(text.strip())
        self.file = self.line = self.function = ""
        path, separator, rest = self.text.removeprefix('File "').rpartition('", line ')
        if separator and self.text.startswith('File "'):
            self.file = path
            self.line, _, self.function = rest.partition(" in ")


class Thread:
    """A thread's stack, the innermost frame first."""

    __slots__ = ("frames", "identity", "is_main", "is_speaker")

    def __init__(self, heading: str, *, is_main: bool) -> None:
        self.identity = _identity_in(heading)
        self.is_main = is_main
        self.is_speaker = heading.startswith("Current ")
        self.frames: list[Frame] = []

    def own_frames(self) -> list[Frame]:
        """The frames since the fork: how the parent came to it is the same for all."""
        return list(itertools.takewhile(lambda frame: not _is_under(frame, _PARENT), self.frames))

    def application_frame(self) -> Frame | None:
        """Where the application is: its own innermost frame, else that of a library that it has installed.

        What is below the outermost call of Bicorn's is how Bicorn was started.
        """
        ours = [place for place, frame in enumerate(self.frames) if _is_under(frame, _PACKAGE)]
        above = self.frames[: ours[-1]] if ours else self.frames
        candidates = [frame for frame in above if not _is_ours_or_pythons(frame)]
        own = (frame for frame in candidates if not _is_installed(frame))
        return next(own, candidates[0] if candidates else None)


class Stacks:
    """The answer to one inquiry.

    ``threads`` has the main thread first; ``tasks`` are lines for people; ``doing`` is the request of the task that
    runs, where that is known. ``is_python_running`` is whether Python itself has answered, and ``trouble`` says in
    words why nothing was heard. ``process_state`` is the letter of `bicorn.supervisor.process.state_of`.
    """

    def __init__(self, data: bytes = b"", trouble: str = "", process_state: str = "") -> None:
        lines = answer_in(data).decode("utf-8", "replace").split("\n")
        spoken = lines.index(TASKS_MARK) if TASKS_MARK in lines else len(lines)
        self.threads = _threads_of(lines[:spoken])
        self.doing = ""
        self.tasks = list(self._tasks_of(lines[spoken + 1 :]))
        self.is_python_running = has_end(data)
        self.trouble = trouble
        self.process_state = process_state

    @property
    def main_thread(self) -> Thread | None:
        return self.threads[0] if self.threads and self.threads[0].is_main else None

    def _tasks_of(self, lines: list[str]) -> Iterator[str]:
        for line in lines:
            if line == END_MARK:
                return
            if line.startswith(DOING_MARK):
                self.doing = printable(line.removeprefix(DOING_MARK))
            elif line:
                yield printable(line)


def answer_in(data: bytes) -> bytes:
    """What of the text belongs to this inquiry; empty where nothing does.

    Python may only now have come to answer a former one, after whose end nobody listened any more. It speaks after
    `faulthandler`, so what stands before the first thread is not meant.
    """
    lines = b"\n" + data
    places = [lines.find(b"\n" + heading.encode()) for heading in _HEADINGS]
    return data[min(place for place in places if place >= 0) :] if max(places) >= 0 else b""


def has_end(data: bytes) -> bool:
    """Whether all has been said."""
    return f"\n{END_MARK}\n".encode() in answer_in(data)


def printable(text: str) -> str:
    """Text from elsewhere, harmless on a terminal and on one line."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def _threads_of(lines: list[str]) -> list[Thread]:
    # A fork keeps the main thread's identity: the worker's is the parent's.
    main = _thread.get_ident()
    threads: list[Thread] = []
    for line in lines:
        if line.startswith(_HEADINGS):
            threads.append(Thread(line, is_main=_identity_in(line) == main))
        elif threads and line.strip():
            threads[-1].frames.append(Frame(line))
    threads.sort(key=lambda thread: not thread.is_main)
    return threads


def _identity_in(heading: str) -> int:
    _, _, rest = heading.partition(" 0x")
    try:
        return int(rest.split(" ")[0], 16)
    except ValueError:
        return 0


def _is_under(frame: Frame, directory: str) -> bool:
    # `faulthandler` writes ASCII, and the rest as Python's escapes.
    return frame.file.startswith(directory.encode("ascii", "backslashreplace").decode("ascii"))


def _is_installed(frame: Frame) -> bool:
    return any(part in frame.file for part in _INSTALLED)


def _is_ours_or_pythons(frame: Frame) -> bool:
    if not frame.file or frame.file.startswith("<frozen ") or _is_under(frame, _PACKAGE):
        return True
    return _is_under(frame, _LIBRARY) and not _is_installed(frame)
