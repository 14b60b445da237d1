"""The native half of Bicorn: what touches bytes from strangers.

Everything here is driven from Python by a host (``bicorn.hosts``); see ``docs/architecture.md``.
"""

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Protocol, final

__all__ = [
    "AsgiGateway",
    "Engine",
    "Scoreboard",
    "WsgiGateway",
    "__version__",
    "become_subreaper",
    "die_with_parent",
    "stay_inspectable",
]

__version__: str

class _Future(Protocol):
    """What a host's ``create_future`` returns: awaitable once, settled from outside."""

    def set_result(self, result: None, /) -> object: ...
    def done(self) -> bool: ...
    def __await__(self) -> Any: ...

def die_with_parent(parent: int) -> None:
    """Has the kernel kill this process when its parent ends; ends it now if that is not ``parent`` any more."""

def become_subreaper() -> bool:
    """Makes this process the parent of its descendants whose own parent ends. Returns whether the system does that."""

def stay_inspectable() -> None:
    """Lets processes of the same user look at this one and its children, which the kernel forbids when a process
    gives root up: their memory is measured, their stacks are read and their core dumps written like any other's."""

@final
class Scoreboard:
    """An anonymous shared mapping with one slot for each worker process; make it before the first fork.

    It can be read while the worker is blocked, holds the GIL or is dead. Whoever names a slot that is not there
    gets an `IndexError`.
    """

    def __new__(cls, slots: int) -> Scoreboard: ...
    def __len__(self) -> int: ...
    def clear(self, slot: int) -> None:
        """Empties a slot for the next worker; counters start at zero again."""
    def set_generation(self, slot: int, generation: int) -> None:
        """Notes the parent's number for the kind of worker that comes next; after `clear`."""
    def read(self, slot: int) -> dict[str, int]:
        """A slot's counters.

        ``state`` is 0 before there is an engine, then 1 starting, 2 serving, 3 draining; ``pid``; ``generation``;
        ``heartbeat_ms`` (monotonic clock) is when the serving loop was last seen alive; ``turn`` is 1 while the
        engine handles events; ``busy_threads`` is 1 while the application is called from there; ``lag_us`` is how
        late the last timed heartbeat was. ``connections`` and ``exchanges`` are open now; ``accepted``,
        ``requests`` (ended, however), ``errors``, ``bytes_in`` and ``bytes_out`` only grow.
        """
    def latency(self, slot: int) -> list[int]:
        """How many requests took how long, in 32 buckets: the one numbered ``i`` counts those of less than 2**i
        microseconds that are in no bucket before it; the last one counts all that took longer too."""
    def requests(self, slot: int) -> list[tuple[str, str, str, str, int]]:
        """The requests in flight, 512 at most: the identity that the error log prints, the method, the path
        without its query and cut at 120 bytes, the peer (``unix`` for a Unix socket), the age in milliseconds.
        Method and path are as the peer sent them, control characters and all."""

@final
class AsgiGateway:
    """Calls an ASGI 3 application, one task of the host for each request.

    ``spawn(coroutine)`` starts a task and returns it; ``create_future()`` returns something that a
    coroutine of that host can await and that ``set_result(None)`` wakes; ``call_soon(callback)`` runs
    a callback once the tasks that are ready now have run. ``state`` is the lifespan state to copy into
    each scope, or None where the app has no lifespan. ``report(error, request_line, request_id)`` is
    told of an exception that left the application.
    """

    def __new__(
        cls,
        app: Callable[..., Awaitable[None]],
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        create_future: Callable[[], _Future],
        call_soon: Callable[[Callable[[], None]], object],
        state: MutableMapping[str, Any] | None,
        report: Callable[[BaseException, str, str], None],
    ) -> AsgiGateway: ...

@final
class WsgiGateway:
    """Calls a WSGI application (PEP 3333) inline in the thread that polls.

    ``multiprocess`` is the value of ``wsgi.multiprocess``; ``report`` as for `AsgiGateway`.
    """

    def __new__(
        cls,
        app: Callable[..., Any],
        *,
        multiprocess: bool,
        report: Callable[[BaseException, str, str], None],
    ) -> WsgiGateway: ...

@final
class Engine:
    """All sockets of one worker, behind one pollable descriptor. Make it after the fork.

    ``config`` is a `bicorn.config.Config`; the attributes that the engine needs are read from it once.
    ``slot`` is the scoreboard slot that this worker writes. ``exhausted(errno)`` is called, once a second at
    most, when connections cannot be accepted for lack of descriptors or memory.
    """

    def __new__(
        cls,
        config: object,
        gateway: AsgiGateway | WsgiGateway,
        scoreboard: Scoreboard | None = None,
        slot: int = 0,
        *,
        exhausted: Callable[[int], object] | None = None,
    ) -> Engine: ...
    def fileno(self) -> int:
        """The descriptor to wait for: readable when `poll` has work. Valid as long as the object lives."""
    def wakeup_fd(self) -> int:
        """A non-blocking descriptor: a byte written to it makes `fileno` readable.
        Fit for `signal.set_wakeup_fd` and for other threads."""
    def poll(self) -> None:
        """Handles everything that is ready now, and never blocks. Raises nothing of the app's."""
    def run(self) -> None:
        """Waits and polls until `stop`; the GIL is released while it waits, and Python's
        signal handlers run in between. What a signal handler raises leaves `run`."""
    def stop(self) -> None:
        """Makes `run` return after the current turn, or the next one at once if none runs. May be called from a
        signal handler or a thread."""
    def add_listener(self, fd: int) -> None:
        """Accepts connections from a listening stream socket. The descriptor is duplicated."""
    def adopt_connection(self, fd: int) -> None:
        """Serves a connected stream socket, such as one end of a socket pair. The descriptor is duplicated."""
    def drain(self, done: Callable[[], object]) -> None:
        """Stops accepting, closes idle connections, ends the others after the answer that is under
        way, and calls ``done()`` once when none is left."""
    def close(self) -> None:
        """Ends every connection at once and writes the logs out; `fileno` lives as long as the object. Idempotent."""
    def reopen_log(self) -> None:
        """Opens the access log's file again by its name, for log rotation."""
    @property
    def connections(self) -> int:
        """Connections that are open now."""
    @property
    def exchanges(self) -> int:
        """Requests that are being answered now."""
