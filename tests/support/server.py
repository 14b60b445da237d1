"""A real Bicorn in a process of its own, started from the command line as a user would.

Waits by events only: for the banner, which names the port, and for lines of the log.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 30.0
"""Seconds after which something that should have happened has failed. No test waits for it to pass."""


class Server:
    """A server process, what it prints, and where it is reached."""

    def __init__(
        self,
        arguments: list[str],
        cwd: Path,
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
        **popen: Any,
    ) -> None:
        """``prefix`` is a program that runs the server's command, such as ``setpriv``; the streams may go elsewhere."""
        command = [*prefix, sys.executable, "-m", "bicorn", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen},
        )
        self._news = threading.Condition()
        self._streams: dict[str, list[str]] = {"out": [], "err": []}
        pipes = {"out": self.process.stdout, "err": self.process.stderr}
        self._pipes = {name: pipe for name, pipe in pipes.items() if pipe is not None}
        self._readers = [
            threading.Thread(target=self._read, args=pipe) for pipe in self._pipes.items()
        ]
        for reader in self._readers:
            reader.start()

    @property
    def log(self) -> str:
        """The error log so far: standard error."""
        return "".join(self._streams["err"])

    @property
    def access_log(self) -> str:
        """Standard output so far."""
        return "".join(self._streams["out"])

    @property
    def pid(self) -> int:
        """The parent's process."""
        return self.process.pid

    @property
    def urls(self) -> list[str]:
        """What the banner says can be asked for."""
        return re.findall(r"^ +(?:at )? +((?:http|unix):\S+)$", self.log, re.MULTILINE)

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first TCP address."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host.strip("[]"), int(port)

    def workers(self) -> list[int]:
        """The processes of the workers that are alive."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def wait_for_log(self, pattern: str, stream: str = "err", after: int = 0) -> re.Match[str]:
        """Waits until the log has text that the pattern finds, in what follows the first ``after`` characters; fails
        when the process ends before."""
        sought = re.compile(pattern, re.MULTILINE)

        def found() -> re.Match[str] | None:
            return sought.search("".join(self._streams[stream]), after)

        with self._news:
            self._news.wait_for(lambda: found() or not self._is_read(), PATIENCE)
        match = found()
        assert match, f"no {pattern!r} in the log:\n{self.log}"
        return match

    def wait_until_ready(self) -> "Server":
        self.wait_for_log(r"^ +try +curl")
        return self

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def output_ends(self) -> bool:
        """Whether nobody has its streams open any more: waits for that, but not for ever."""
        for reader in self._readers:
            reader.join(PATIENCE / 2)
        return not self._is_read()

    def wait(self) -> int:
        """Waits for the process to end by itself; its exit status."""
        status = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for pipe in self._pipes.values():
            pipe.close()
        return status

    def stop(self) -> int:
        """Ends the process as an operator does; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise

    def _is_read(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)

    def _read(self, name: str, stream: Iterator[str]) -> None:
        for line in stream:
            with self._news:
                self._streams[name].append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


@contextmanager
def serving(
    *arguments: str, cwd: Path = Path(), environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server on a port of the kernel's choice that accepts connections, ended afterwards.

    Its exit status must then be 0: a worker that crashed or did not end in time fails the test.
    """
    server = Server(["--bind", "127.0.0.1:0", *arguments], cwd, environment or {})
    try:
        yield server.wait_until_ready()
    except BaseException:
        server.stop()
        raise
    status = server.stop()
    assert status == 0, server.log
