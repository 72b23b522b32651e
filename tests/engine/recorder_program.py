"""Appends numbered lines to a file without end: to be killed by a test.

``python recorder_program.py FILE``; prints the number of a line once ``append`` has returned, and
``READY`` before the first. Lines are as long as large records.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from ragcli.engine.record_file import RecordFile


def main() -> None:
    """Append until killed."""
    with RecordFile(Path(sys.argv[1])) as file:
        sys.stdout.write("READY\n")
        sys.stdout.flush()
        for number in itertools.count():
            file.append(json.dumps({"number": number, "text": "x" * 300_000, "end": number}))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
