"""Runs ``bicorn`` and tells what its parent has imported: ``tell_modules.py FILE python -m bicorn ...``."""

import os
import sys

at_start = set(sys.modules)

from bicorn.cli import main  # noqa: E402  what the interpreter itself has imported does not count

parent = os.getpid()
status = main(sys.argv[5:])
if os.getpid() == parent:
    with open(sys.argv[1], "w") as told:
        told.write("\n".join(sorted(set(sys.modules) - at_start)))
sys.exit(status)
