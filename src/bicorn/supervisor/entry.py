"""From a configuration to a parent that serves, and back to an exit status.

Owns the order: the background first, then what needs root, then the operator's own code, then workers.
"""

from __future__ import annotations

import os

from bicorn.log.line import LineLog
from bicorn.supervisor.generation import Generation, require_for
from bicorn.supervisor.herald import Herald
from bicorn.supervisor.host import Host
from bicorn.supervisor.spawning import InWorker
from bicorn.supervisor.supervisor import Supervisor
from bicorn.supervisor.upgrade import Command, Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bicorn.config import Config
    from bicorn.supervisor.daemon import Background


def run(config: Config, reread: Callable[[], Config]) -> int:
    """Binds, serves until told to stop, and returns the exit status. ``reread`` reads the configuration anew.

    Raises `bicorn.errors.OperatorError` when an address cannot be had or no worker can start.
    """
    lineage = Command(), Origin.of_this_process()
    _occupy_standard_streams()
    require_for(config)
    # The parent that an upgrade comes from knows this process, and not one that it would go to the background in.
    if not config.daemon or lineage[1].is_upgrade:
        return _serve(config, reread, lineage)
    from bicorn.supervisor.daemon import in_background

    return in_background(lambda background: _serve(config, reread, lineage, background))


def _serve(
    config: Config,
    reread: Callable[[], Config],
    lineage: tuple[Command, Origin],
    background: Background | None = None,
) -> int:
    log = LineLog(config.log_level)
    if background is not None:
        background.warn_of_lost_logs(config, log)
    host = Host(config, log)
    try:
        generation = Generation(1, config, host.open(lineage[1].descriptors))
        lineage[1].close_leftovers()
        # Not before root is given up: hooks are the operator's own code.
        herald = Herald(config, log, background)
        return Supervisor(generation, reread, lineage, (host, herald)).run()
    except InWorker as worker:
        return worker.exit_status
    finally:
        host.close()


def _occupy_standard_streams() -> None:
    """Whoever started this process may have closed them: a socket that got such a number would be written to as
    if it were standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The kernel gives the lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
