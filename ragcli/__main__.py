"""``python -m ragcli`` is the command ``ragcli``."""

from __future__ import annotations

import sys

from ragcli.cli import main

if __name__ == "__main__":
    sys.exit(main())
