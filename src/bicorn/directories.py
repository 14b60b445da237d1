"""Where the application's and the operator's modules are looked for: the working directory and ``sys.path``."""

from __future__ import annotations

import os
import sys

from bicorn.errors import AppLoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.config import Config


def enter_directories(config: Config) -> None:
    """Goes to ``chdir``, and puts ``app_dir``, or else the working directory, first on ``sys.path``.

    There it takes the place of the directory of the ``bicorn`` script, which Python puts there: other programs'
    scripts stand in it, and some are named like a module. May be called again.
    """
    if sys.path and sys.path[0] == os.path.dirname(os.path.realpath(sys.argv[0])):
        del sys.path[0]
    if config.chdir:
        os.chdir(config.chdir)
    directory = os.path.abspath(os.path.expanduser(config.app_dir or "."))
    if not os.path.isdir(directory):
        raise AppLoadError(f"--app-dir {config.app_dir} is not an existing directory")
    if directory in sys.path:
        sys.path.remove(directory)
    sys.path.insert(0, directory)
