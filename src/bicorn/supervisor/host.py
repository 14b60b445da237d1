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

    def rebind(self, config: Config, kept: Sequence[Listener]) -> list[Listener]:
        """Binds what a new configuration asks for, as far as it is not bound already. Without ``--bind`` it stays
        with what it had: the service manager hands its sockets over once. Raises `bicorn.errors.BindError`."""
        is_default = config.origin("bind") == "default"
        return bind_all(self._handed_over if is_default else config.bind, self._files, kept=kept)

    def own(self, listeners: Sequence[Listener]) -> None:
        """This parent serves: the files of Unix sockets that it was left by another one are its own."""
        for listener in listeners:
            listener.own()

    def set_aside(self) -> None:
        """For a binary upgrade: the new parent writes the pid file. Raises `OSError` where it could not."""
        if self.pid_file is not None:
            self.pid_file.set_aside()

    def restore(self, listeners: Sequence[Listener]) -> None:
        """There is no new parent, or none any more."""
        self.own(listeners)
        if self.pid_file is not None:
            self.pid_file.restore(self._log)

    def disown(self) -> None:
        """In a forked child: sockets and files are the parent's."""
        for listener in self.listeners:
            listener.disown()
        if self.pid_file is not None:
            self.pid_file.disown()

    def close(self) -> None:
        """Idempotent, and nothing but closing descriptors in a child that has disowned."""
        close_all(self.listeners)
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
