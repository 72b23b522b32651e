"""The exit codes of every command, after grep's and sysexits.h."""

from __future__ import annotations

DONE = 0
"""Something was found, or the work is done; also when the reader of a pipe went away."""

NOTHING_FOUND = 1
"""Nothing was found, no answer was given, a record differs, or an index is damaged."""

EXPECTED_ERROR = 2
"""A usage error, or another one that the person can mend."""

SOME_FAILED = 3
"""The work is done, but some inputs failed; they are named on stderr."""

OUR_BUG = 70
"""An error of ragcli's own, with its traceback."""

INTERRUPTED = 130
"""Stopped by Ctrl-C."""


def found_code(*, found: bool, failed: bool) -> int:
    """Return the code of a search: failed inputs matter more than what was found."""
    if failed:
        return SOME_FAILED
    return DONE if found else NOTHING_FOUND
