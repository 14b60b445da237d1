"""``python -m bicorn`` is the command ``bicorn``."""

import sys

from bicorn.cli import main

if __name__ == "__main__":
    sys.exit(main())
