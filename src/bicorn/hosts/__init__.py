"""Hosts: the loops that wait for the engine's descriptor and let it work.

    asyncio_host.py   ASGI on asyncio or uvloop
    plain.py          WSGI on the engine's own loop
    warmup.py         the request that a worker makes of its own application

A host makes an engine and a gateway, warms the application up, listens, says that it is ready, and drains when it
is told to stop. It knows its loop, and nothing of HTTP or of the parent.
"""

from __future__ import annotations

import os

from bicorn.errors import ConfigError
from bicorn.log.report import complainer, reporter
from bicorn.log.streams import detach

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from bicorn._native import AsgiGateway, Engine, Scoreboard, WsgiGateway
    from bicorn.config import Config

    class Listener(Protocol):
        """A bound socket that the parent has made."""

        @property
        def url(self) -> str: ...
        def fileno(self) -> int: ...
        def listen(self, backlog: int) -> None: ...
        def close(self) -> None: ...

    class Progress(Protocol):
        """The worker, which is told how far its host has come."""

        def note_serving(self) -> None: ...
        def note_draining(self) -> None: ...
        def note_stopping(self) -> None: ...


class Job:
    """What a host is given: the application and all that serving it takes."""

    def __init__(
        self,
        *,
        config: Config,
        app: Any,
        listeners: Sequence[Listener],
        board: tuple[Scoreboard, int],
        logger: logging.Logger,
        worker: Progress,
    ) -> None:
        self.config = config
        self.app = app
        self.listeners = listeners
        self.board = board
        self.logger = logger
        self.report = reporter(logger)
        self.worker = worker

    def engine(self, gateway: AsgiGateway | WsgiGateway) -> Engine:
        """An engine, which accepts no connections yet. Raises `ConfigError` when the access log cannot be written."""
        from bicorn._native import Engine

        _try_access_log(self.config)
        return Engine(self.config, gateway, *self.board, exhausted=complainer(self.logger))

    def listen(self, engine: Engine) -> None:
        """Has the engine accept connections, from when it answers them: a port that accepts is a port that serves.

        Raises `bicorn.errors.BindError` when another process was faster to listen on an address.
        """
        if self.config.daemon:
            # The application has started; and the engine has standard output, as it was, for its log.
            detach()
            engine.reopen_log()
        for listener in self.listeners:
            listener.listen(self.config.backlog)
            engine.add_listener(listener.fileno())
            # The engine has its own: what it stops listening on must not stay open here.
            listener.close()

    def reopen_log(self, engine: Engine) -> None:
        """Opens the access log again by its name, as after a rotation; where it cannot, the old file stays in use."""
        try:
            engine.reopen_log()
        except OSError as error:
            path = os.path.abspath(self.config.access_log_file)
            self.logger.error("cannot reopen the access log %s: %s", path, error)


def _try_access_log(config: Config) -> None:
    """The engine knows the kernel's reason, and not the option that led there."""
    path = config.access_log_file
    if not config.access_log or path == "-":
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666))
    except OSError as error:
        raise ConfigError(
            f"cannot write the access log to {os.path.abspath(path)}: {error.strerror}: "
            "use another --access-log-file, or - for standard output"
        ) from None


def host_for(interface: str, loop: str) -> tuple[Callable[[Job], None], str]:
    """The host for an application, and the name of its loop. Raises `bicorn.errors.ConfigError`."""
    if interface == "wsgi":
        from bicorn.hosts.plain import serve as serve_plain

        return serve_plain, ""
    from bicorn.hosts.asyncio_host import loop_factory, serve

    factory, name = loop_factory(loop)
    return lambda job: serve(job, factory), name
