"""Sockets that a service manager hands over: systemd's socket activation, sd_listen_fds(3).

Owns the variables ``LISTEN_FDS``, ``LISTEN_PID`` and ``LISTEN_FDNAMES``, and the rule which of them and ``--bind``
wins. What a socket is good for is judged in `bicorn.supervisor.listeners`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from bicorn.config import Config
    from bicorn.log.line import LineLog

_FIRST = 3
"""SD_LISTEN_FDS_START."""
_MOST = 4096
_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def addresses(config: Config, environ: MutableMapping[str, str], log: LineLog) -> tuple[str, ...]:
    """Where to listen: on the sockets that were handed over, unless the operator has said where.

    Takes the variables out of the environment: the sockets are this process's, and no child's.
    """
    given = {name: environ.pop(name) for name in _VARIABLES if name in environ}
    names = _handed_over(given, log)
    for descriptor in names:
        _keep_from_children(descriptor)
    if not names:
        return config.bind
    shown = ", ".join(f"fd://{number} ({name})" for number, name in names.items())
    if config.origin("bind") == "default":
        log.info(f"listening on what the service manager hands over: {shown}")
        return tuple(f"fd://{number}" for number in names)
    asked = " and ".join(config.bind)
    log.warning(
        f"--bind wins: listening on {asked}, and on nothing else that the service manager hands over "
        f"({shown}); leave --bind out to be given its sockets"
    )
    for descriptor in names:
        if f"fd://{descriptor}" not in config.bind:
            _close(descriptor)
    return config.bind


def _handed_over(given: dict[str, str], log: LineLog) -> dict[int, str]:
    """Descriptors and their names; none where they are another process's."""
    count, process = given.get("LISTEN_FDS", ""), given.get("LISTEN_PID", "")
    if not (count.isascii() and count.isdigit() and 0 < int(count[:10]) <= _MOST):
        return {}
    if process != str(os.getpid()):
        log.info(
            f"LISTEN_FDS is meant for process {process or '(none)'}, and this is {os.getpid()}: ignored; "
            "a shell in between has to start bicorn with exec"
        )
        return {}
    names = given.get("LISTEN_FDNAMES", "").split(":")
    names += ["unknown"] * (int(count) - len(names))
    return {_FIRST + index: names[index] or "unknown" for index in range(int(count))}


def _keep_from_children(descriptor: int) -> None:
    try:
        os.set_inheritable(descriptor, False)
    except OSError:
        # Not open: whoever wants to listen on it says so.
        return


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return
