"""An existing index, opened to be changed without an encoder."""

from __future__ import annotations

from pathlib import Path

from ragcli.errors import IndexMissingError, IndexOutdatedError
from ragcli.store import Index, IndexFingerprint


def fingerprint_to_change(folder: Path, *, wait: bool) -> IndexFingerprint:
    """What made the index in ``folder``, which is brought to the newest schema where need be.

    Raises ``IndexMissingError``, ``IndexMismatchError``, and ``IndexBusyError`` while another
    process writes an index of an older schema, unless it is to ``wait``.
    """
    try:
        with Index.open(folder) as index:
            return index.fingerprint
    except IndexOutdatedError:
        Index.bring_up_to_date(folder, wait=wait)
        with Index.open(folder) as index:
            return index.fingerprint


def earlier_fingerprint(folder: Path, *, wait: bool) -> IndexFingerprint | None:
    """What made the index that may be in ``folder``; raises as ``fingerprint_to_change`` does.

    ``None`` also for one whose maker was killed before it was begun.
    """
    try:
        return fingerprint_to_change(folder, wait=wait)
    except IndexMissingError:
        return None


def open_to_change(folder: Path, *, wait: bool) -> Index:
    """Open the index in ``folder`` for writing; raises as ``fingerprint_to_change`` does."""
    fingerprint = fingerprint_to_change(folder, wait=wait)
    return Index.create_or_open(folder, fingerprint, wait=wait)
