"""What a worker tells its parent: that it is ready, or why it will not be, and that it has begun to drain. A template
tells of births besides.

The format is explained where it is read, in `bicorn.supervisor.channel`.
"""

from __future__ import annotations

import socket


class Channel:
    """The worker's end."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def ready(self, banner: str) -> None:
        """The worker accepts connections; ``banner`` says what it serves."""
        self._send("ready", 0, banner)

    def failed(self, error: str, exit_status: int) -> None:
        """The worker is about to exit with ``exit_status``, for the reason in the last line of ``error``."""
        self._send("failed", exit_status, error)

    def warning(self, text: str) -> None:
        """A line for the parent's log."""
        self._send("warning", 0, text)

    def born(self, number: int, pid: int) -> None:
        """The order of this number has become a process."""
        self._send("born", number, str(pid))

    def unborn(self, number: int, reason: str) -> None:
        """The order of this number could not become a process."""
        self._send("unborn", number, reason)

    def draining(self) -> None:
        """The worker accepts no more connections, and ends when what is in flight is done."""
        self._send("draining", 0, "")

    def _send(self, kind: str, status: int, text: str) -> None:
        payload = text.encode("utf-8", "replace")
        try:
            self._socket.sendall(f"{kind} {status} {len(payload)}\n".encode() + payload)
        except OSError:
            # The parent is gone, and this process will be in a moment.
            self._socket.close()
