"""What a service manager is told: systemd's notification protocol, sd_notify(3).

Owns the datagrams to ``NOTIFY_SOCKET`` and the time between two watchdog messages. Knows nothing of workers:
whether they make progress is asked of whoever makes the `Watchdog`. A service manager that is gone, or too slow to
read, is no reason to stop.
"""

from __future__ import annotations

import os
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from bicorn.supervisor.loop import Loop, Timer

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_RETRY = 0.1
"""Seconds until a message is sent again that the service manager had no room for."""
_ATTEMPTS = 50
"""After so many in a row it is not reading any more."""


class Notifier:
    """Tells the service manager, if there is one.

    Takes its variables out of the environment: what the application runs is not this service. `environment` gives
    them back for the one program that is.
    """

    def __init__(self, loop: Loop, environ: MutableMapping[str, str]) -> None:
        self._loop = loop
        self._taken = {name: environ.pop(name) for name in _VARIABLES if name in environ}
        self._address = _address(self._taken.get("NOTIFY_SOCKET", ""))
        self._unsent: dict[str, str] = {}
        self._attempts = 0
        self._retry: Timer | None = None
        self.watchdog_interval = self._watchdog_interval()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody listens: a text that nobody reads need not be made."""
        return self._address is not None

    def environment(self, pid: int) -> dict[str, str]:
        """The variables as they were, for a successor of this program that runs as process ``pid``."""
        taken = dict(self._taken)
        if "WATCHDOG_PID" in taken:
            taken["WATCHDOG_PID"] = str(pid)
        return taken

    def ready(self, status: str = "") -> None:
        """The service serves: after its start, and after each reload."""
        self._send(READY="1", **({"STATUS": status} if status else {}))

    def reloading(self) -> None:
        """A reload begins; `ready` ends it. systemd wants to know when (``Type=notify-reload``)."""
        self._send(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))

    def stopping(self) -> None:
        self._send(STOPPING="1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(STATUS=text.replace("\n", " "))

    def main_pid(self, pid: int) -> None:
        """Another process is the service from now on: said by the old one, which is still believed."""
        self._send(MAINPID=str(pid))

    def watchdog(self) -> None:
        """The service lives. To be said at least every ``watchdog_interval`` seconds, if that is not None."""
        self._send(WATCHDOG="1")

    def forget(self) -> None:
        """In a forked child: the parent alone speaks for the service."""
        self._address = None

    def _watchdog_interval(self) -> float | None:
        """Half of what the service manager waits for, as sd_watchdog_enabled(3) recommends."""
        wait, process = (self._taken.get(name, "") for name in _VARIABLES[1:])
        if not _is_number(wait) or (process and process != str(os.getpid())):
            return None
        return int(wait) / 2e6 or None

    def _send(self, **fields: str) -> None:
        if self._address is None:
            return
        # What is said anew goes last, so that the latest state is the one that is believed.
        for name in ("READY", "RELOADING", "MONOTONIC_USEC") if fields.keys() & _STATES else ():
            self._unsent.pop(name, None)
        self._unsent.update(fields)
        self._flush()

    def _flush(self) -> None:
        if self._address is None or not self._unsent:
            return
        text = "\n".join(f"{name}={value}" for name, value in self._unsent.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(text.encode("utf-8", "replace"), self._address)
        except BlockingIOError:
            self._attempts += 1
            if self._attempts < _ATTEMPTS:
                self._try_again()
                return
        except OSError:
            # The service manager is gone, or never was there. It makes itself known when it starts us again.
            pass
        self._unsent.clear()
        self._attempts = 0

    def _try_again(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self._loop.call_later(_RETRY, self._flush)


class Watchdog:
    """Keeps the service manager's watchdog quiet as long as ``is_well()``; when it is not, says nothing, and the
    service manager restarts the service."""

    def __init__(self, loop: Loop, notifier: Notifier, is_well: Callable[[], bool]) -> None:
        self._loop = loop
        self._notifier = notifier
        self._is_well = is_well
        self._timer: Timer | None = None

    def start(self) -> None:
        """Says it once, and then as often as it has to be said. Nothing where no watchdog is set."""
        if self._notifier.watchdog_interval is None:
            return
        if self._is_well():
            self._notifier.watchdog()
        self._timer = self._loop.call_later(self._notifier.watchdog_interval, self.start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


_STATES = frozenset({"READY", "RELOADING"})


def _address(path: str) -> str | bytes | None:
    """``@`` stands for the zero byte of an abstract address; other kinds, as vsock, are of virtual machines."""
    if path.startswith("@") and len(path) > 1:
        return b"\0" + os.fsencode(path[1:])
    return path if path.startswith("/") else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
