"""The use cases ``compact``, ``export`` and ``import``: an index keeps its size, and moves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragcli.engine.changing import open_to_change
from ragcli.errors import IndexMissingError, UsageError
from ragcli.store import (
    DEFAULT_FOLDER,
    Index,
    check_export,
    compact_catalogue,
    export_catalogue,
    folder_bytes,
    holds_index,
    import_catalogue,
    locked,
)


@dataclass(frozen=True, slots=True)
class Compaction:
    """What compacting came to: bytes of the folder, and what was done beside.

    ``dropped_rebuild`` says that an unfinished rebuild was given up, ``is_shrunk`` that no reader
    keeps the space in use.
    """

    folder: Path
    bytes_before: int
    bytes_after: int
    dropped_rebuild: bool
    is_shrunk: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """An index that was written to or read from ``file``: what it holds, and its size there."""

    folder: Path
    file: Path
    sources: int
    documents: int
    passages: int
    n_bytes: int


def compact(folder: Path, *, wait: bool = False) -> Compaction:
    """Give back the space of what was removed from the index in ``folder``.

    Readers go on meanwhile, and a kill leaves the index as it was. Raises ``IndexMissingError``,
    ``IndexBusyError`` while another process is writing unless it is to ``wait``, and
    ``RagcliError`` when the disk is full.
    """
    if not holds_index(folder):
        raise IndexMissingError(f"no index in {folder}", 'run "ragcli index PATH"')
    with locked(folder, wait=wait):
        before = folder_bytes(folder)
        compacted = compact_catalogue(folder)
    open_to_change(folder, wait=wait).close()  # brings vectors.faiss in step
    after = folder_bytes(folder)
    return Compaction(folder, before, after, compacted.dropped_rebuild, compacted.is_shrunk)


def export_index(folder: Path, file: Path, *, replace: bool = False) -> Moved:
    """Write the last commit of the index in ``folder`` to ``file``.

    Raises ``UsageError`` for a file that is there and not to be replaced, else as
    ``export_catalogue`` does.
    """
    if file.exists() and not replace:
        raise UsageError(f"{file} exists already", "name another file, or add --force")
    n_bytes = export_catalogue(folder, file)
    return _moved(folder, file, n_bytes)


def folder_to_import_into(explicit: Path | None, start: Path) -> Path:
    """Return the folder that an index arrives in: ``explicit``, else ``.ragcli`` in ``start``."""
    return start / DEFAULT_FOLDER if explicit is None else explicit


def import_index(file: Path, folder: Path, *, replace: bool = False, wait: bool = False) -> Moved:
    """Make what ``export_index`` wrote the index in ``folder``; embeds nothing.

    Raises as ``import_catalogue`` does, and ``IndexBusyError`` while another process is writing
    unless it is to ``wait``.
    """
    check_export(file)  # before the folder is made
    with locked(folder, wait=wait):
        import_catalogue(file, folder, replace=replace)
    open_to_change(folder, wait=wait).close()  # brings vectors.faiss in step
    return _moved(folder, file, file.stat().st_size)


def _moved(folder: Path, file: Path, n_bytes: int) -> Moved:
    with Index.open(folder) as index:
        held = index.summary()
    return Moved(folder, file, held.sources, held.documents, held.passages, n_bytes)
