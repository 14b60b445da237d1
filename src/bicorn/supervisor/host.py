"""What the server takes from its machine and gives back: addresses, a pid file, a user.

Owns the order, which matters: names are looked up before anything is done, addresses and the pid file need root, and
root is given up before the first worker. Each step stands in a file of its own.
"""

from __future__ import annotations

import os

from bicorn.supervisor.listeners import SocketFiles, bind_all, close_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bicorn.config import Config
    from bicorn.log.line import LineLog
    from bicorn.supervisor.identity import Identity
    from bicorn.supervisor.listeners import Listener
    from bicorn.supervisor.pidfile import PidFile


class Host:
    """Call `open`, serve, and `close`; in a forked child `disown`."""

    def __init__(self, config: Config, log: LineLog) -> None:
        self._config = config
        self._log = log
        self.listeners: list[Listener] = []
        """All that are bound, those of a reload on trial among them."""
        self.pid_file: PidFile | None = None

    def open(self, inherited: Mapping[str, list[int]]) -> list[Listener]:
        """Binds the addresses that no predecessor of this program has left, and becomes who it shall be.

        Raises `bicorn.errors.OperatorError`, with everything undone that can be.
        """
        identity = self._identity()
        self._handed_over = self._addresses()
        self._files = self._socket_files(identity)
        try:
            self.listeners = bind_all(self._handed_over, self._files, inherited=inherited)
            self._write_pid_file()
            if identity is not None:
                self._assume(identity)
        except BaseException:
            self.close()
            raise
        return self.listeners

    def rebind(self, config: Config) -> list[Listener]:
        """What a new configuration asks for, bound as far as it is not already. Without ``--bind`` it stays with what
        it had: the service manager hands its sockets over once. Raises `bicorn.errors.BindError`."""
        is_default = config.origin("bind") == "default"
        addresses = self._handed_over if is_default else config.bind
        wanted = bind_all(addresses, self._files, kept=self.listeners)
        self.listeners = list(dict.fromkeys(self.listeners + wanted))
        return wanted

    def keep(self, used: Sequence[Listener]) -> None:
        """Closes the others."""
        close_all([listener for listener in self.listeners if listener not in used])
        self.listeners = list(dict.fromkeys(used))

    def own(self) -> None:
        """This parent serves: the files of Unix sockets that it was left by another one are its own."""
        for listener in self.listeners:
            listener.own()

    def hand_over(self) -> None:
        """The files of Unix sockets are another parent's."""
        for listener in self.listeners:
            listener.disown()

    def set_aside(self) -> None:
        """For a binary upgrade: the new parent writes the pid file. Raises `OSError` where it could not."""
        if self.pid_file is not None:
            self.pid_file.set_aside()

    def restore(self) -> None:
        """There is no new parent, or none any more."""
        self.own()
        if self.pid_file is not None:
            self.pid_file.restore(self._log)

    def disown(self) -> None:
        """In a forked child: sockets and files are the parent's."""
        self.hand_over()
        if self.pid_file is not None:
            self.pid_file.disown()

    def close_listeners(self) -> None:
        """Idempotent, and nothing but closing descriptors where they were handed over."""
        close_all(self.listeners)

    def close(self) -> None:
        """Idempotent, and nothing but closing descriptors in a child that has disowned."""
        self.close_listeners()
        if self.pid_file is not None:
            self.pid_file.remove(self._log)

    def _addresses(self) -> tuple[str, ...]:
        if "LISTEN_FDS" not in os.environ:
            return self._config.bind
        from bicorn.supervisor import activation

        return activation.addresses(self._config, os.environ, self._log)

    def _identity(self) -> Identity | None:
        if self._config.umask is not None:
            os.umask(self._config.umask)
        if not self._config.user and not self._config.group:
            return None
        from bicorn.supervisor.identity import resolve

        return resolve(self._config)

    def _socket_files(self, identity: Identity | None) -> SocketFiles:
        mode = self._config.unix_mode
        if identity is None:
            return SocketFiles(mode)
        return SocketFiles(mode, identity.uid, identity.gid)

    def _write_pid_file(self) -> None:
        if self._config.pid:
            from bicorn.supervisor.pidfile import PidFile

            self.pid_file = PidFile(self._config.pid)

    def _assume(self, identity: Identity) -> None:
        from bicorn.supervisor.identity import give_log

        if self._config.access_log and self._config.access_log_file != "-":
            give_log(self._config.access_log_file, identity)
        identity.assume()
        identity.require_python()
