"""The operator's configuration: one table of options, and the frozen `Config` that is read from it.

    values.py      what kinds of values there are: durations, sizes, choices, ... text to value and back
    addresses.py   what a bind address looks like
    option.py      what an option is
    options.py     the table: `Config`, one attribute for each option
    sources.py     `load`: command line and environment become a `Config`
    suggest.py     the nearest names, for errors
    help.py        the text of ``bicorn --help`` and ``--check-config``
    reference.py   docs/configuration.md

Loading is inert: it binds nothing, imports no application, logs nothing and exits nowhere; all that it
can do is raise `bicorn.errors.ConfigError`. Nothing here knows the supervisor, the worker or HTTP. The
parent process imports this before anything else, so what is slow to import (typing, argparse, difflib)
stays out of the way until an error or a type checker needs it.
"""

from bicorn.config.options import Config
from bicorn.config.sources import load

__all__ = ["Config", "load"]
