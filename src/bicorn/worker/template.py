"""The template process: imports the application once, and forks workers that have it already.

Owns the import and the forks. It never serves: it opens no loop, starts no lifespan, and has a bound socket only
while that passes through to a worker. What it is asked for, and by whom, is `bicorn.supervisor.template`.

    parent ──order──▶ template ──fork──▶ (middle) ──fork──▶ worker
       ▲                 │                  └─ exits, so that the parent adopts the worker
       ├─────born────────┘
       └──leash────────────────────────────────────────────▶ lives
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import signal
import socket

from bicorn._native import die_with_parent
from bicorn.errors import OperatorError
from bicorn.gateway.loading import load_app
from bicorn.log.streams import detach, flush
from bicorn.worker.channel import Channel
from bicorn.worker.unforkable import warnings_of_import
from bicorn.worker.worker import (
    OF_THE_PARENT,
    as_text,
    left_to_the_parent,
    print_whole_lines,
    serve,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bicorn.config import Config
    from bicorn.gateway.loading import LoadedApp
    from bicorn.worker.worker import Inheritance

_DETACH = b"detach"
_LONGEST_ORDER = 256 * 1024
# SCM_MAX_FD of Linux: more do not go through a socket at once.
_MOST_DESCRIPTORS = 253


class Order:
    """What the parent gives a worker; ``listeners`` are descriptors and addresses."""

    def __init__(self, text: str, descriptors: list[int]) -> None:
        """Raises `ValueError` when it is not one."""
        head, *addresses = text.split("\n")
        self.number, self.slot, self.generation = map(int, head.split(" "))
        channel, self.reports, leash, *rest = descriptors
        self.listeners = list(zip(rest, addresses, strict=True))
        self.channel = socket.socket(fileno=channel)
        self.leash = socket.socket(fileno=leash)
        # The application may have set a default timeout.
        self.channel.setblocking(True)
        self.leash.setblocking(True)

    def close(self) -> None:
        """In the template: they are the worker's now."""
        self.channel.close()
        self.leash.close()
        for descriptor in (self.reports, *(descriptor for descriptor, _ in self.listeners)):
            os.close(descriptor)


def serve_template(
    config: Config,
    control: socket.socket,
    parent: int,
    recruit: Callable[[Order], Inheritance],
) -> int:
    """Imports the application and forks a worker for each order, until the parent closes ``control``.

    Returns, with an exit status, in each worker when it has served, and in the template only when the application
    cannot be imported. ``recruit`` makes of an order what a worker inherits.
    """
    die_with_parent(parent)
    for number in (signal.SIGINT, *OF_THE_PARENT):
        signal.signal(number, left_to_the_parent)
    print_whole_lines()
    channel = Channel(control)
    try:
        loaded = load_app(config)
        _import_what_serves(config, loaded)
    except OperatorError as error:
        channel.failed(as_text(error), error.exit_status)
        return error.exit_status
    _prepare_to_be_copied(channel)
    channel.ready("")
    order = _first_order_in_a_worker(control, channel)
    control.close()
    return _live(config, recruit(order), loaded)


def _import_what_serves(config: Config, loaded: LoadedApp) -> None:
    """So that it is imported once too. Raises `OperatorError`, as it would in a worker."""
    from bicorn.hosts import host_for

    for module in ("bicorn.banner", "bicorn.log.setup"):
        importlib.import_module(module)
    host_for(loaded.interface, config.loop)


def _prepare_to_be_copied(channel: Channel) -> None:
    gc.collect()
    for text in warnings_of_import():
        channel.warning(text)
    # Shared with the workers as long as nobody writes to it, the collector included.
    gc.freeze()
    # What the application has printed: every copy of this process would print it again.
    flush()


def _first_order_in_a_worker(control: socket.socket, channel: Channel) -> Order:
    """Forks for each order. Returns in the worker, with its own; ends the template when there are no more."""
    for order in _orders(control):
        if _fork_worker(order, channel):
            return order
    flush()
    # The application's work at its end is for those that have served: it would take from the workers that still
    # serve what they share, such as a temporary directory.
    os._exit(0)


def _orders(control: socket.socket) -> Iterator[Order]:
    while True:
        try:
            text, descriptors, flags, _ = socket.recv_fds(
                control, _LONGEST_ORDER, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            # The parent is gone, and this process will be in a moment.
            return
        if not text:
            return
        if text == _DETACH:
            os.close(descriptors[0])
            detach()
            continue
        try:
            if flags & socket.MSG_CTRUNC:
                raise ValueError("the template has no descriptor free")
            order = Order(text.decode(), descriptors)
        except ValueError as error:
            for descriptor in descriptors:
                os.close(descriptor)
            number = text.partition(b" ")[0]
            Channel(control).unborn(int(number) if number.isdigit() else 0, str(error))
            continue
        yield order


def _fork_worker(order: Order, channel: Channel) -> bool:
    """Whether this is the worker now."""
    try:
        pid = _fork_through_a_middle()
    except OSError as error:
        order.close()
        channel.unborn(order.number, error.strerror or str(error))
        return False
    if pid:
        # Before anybody may count on it that nothing is held here.
        order.close()
        channel.born(order.number, pid)
        return False
    if not order.leash.recv(1):
        # The parent has given it up, or is gone.
        os._exit(0)
    order.leash.close()
    return True


def _fork_through_a_middle() -> int:
    """The worker's process number, which is the parent's child by then; 0 in the worker.

    A process whose own parent has ended is adopted by the nearest ancestor that asked for it (PR_SET_CHILD_SUBREAPER
    in prctl(2)). Raises `OSError` when there can be no process.
    """
    reader, writer = os.pipe()
    with open(reader, "rb") as answer:
        with open(writer, "wb", buffering=0) as question:
            middle = _fork()
            if middle == 0 and _fork_as_the_middle(question.fileno()):
                return 0
        told = int(answer.read() or -errno.EAGAIN)
    with contextlib.suppress(ChildProcessError):  # the application has told the kernel to reap
        os.waitpid(middle, 0)
    if told < 0:
        raise OSError(-told, os.strerror(-told))
    return told


def _fork_as_the_middle(question: int) -> bool:
    """True in the worker; the middle answers with its number, or a negative error number, and ends."""
    try:
        told = _fork()
    except OSError as error:
        told = -(error.errno or errno.EAGAIN)
    if told == 0:
        return True
    os.write(question, str(told).encode())
    os._exit(0)


def _fork() -> int:
    import warnings

    with warnings.catch_warnings():
        # Python warns when there are threads, as this module has done once and for all.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _live(config: Config, inherited: Inheritance, loaded: LoadedApp) -> int:
    if signal.getsignal(signal.SIGINT) is left_to_the_parent:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return serve(config, inherited, loaded)
