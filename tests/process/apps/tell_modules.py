"""Runs ``bicorn`` and tells what its parent has imported: ``tell_modules.py FILE python -m bicorn ...``."""

import os
import sys
from pathlib import Path

from bicorn.cli import main

parent = os.getpid()
status = main(sys.argv[5:])
if os.getpid() == parent:
    Path(sys.argv[1]).write_text("\n".join(sorted(sys.modules)))
sys.exit(status)
