"""The use case ``remove``: files and documents leave the index; on the disk they stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ragcli.engine.changing import open_to_change
from ragcli.engine.names import Names
from ragcli.engine.paths import STREAM_PREFIX
from ragcli.errors import NotHeldError
from ragcli.store import HeldSource, Index, absolute_path


@dataclass(frozen=True, slots=True)
class Removed:
    """A file that was removed, or a document of it; paths are as seen from the person's folder.

    ``document_id`` is ``None`` of a whole file; ``on_disk`` says that the file is still there.
    """

    path: str
    document_id: str | None
    documents: int
    passages: int
    on_disk: bool


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """What was removed, or with ``dry_run`` what would be."""

    index: Path
    removed: tuple[Removed, ...]
    dry_run: bool


def remove_files(
    folder: Path,
    names: Sequence[str],
    *,
    wait: bool = False,
    dry_run: bool = False,
    seen_from: Path | None = None,
) -> RemovalReport:
    """Remove the files of these names, and those beneath the folders of these names; all or none.

    ``wait`` waits while another process writes. Raises ``NotHeldError`` for a name that the index
    does not hold, ``IndexBusyError`` while another process writes.
    """
    naming = Names.of(folder, seen_from)
    with _opened(folder, wait=wait, dry_run=dry_run) as index:
        held = {source.state.path: source for source in index.held_sources()}
        meant: dict[str, HeldSource] = {}
        for name in names:
            found = naming.beneath(name, held)
            if not found:
                raise _not_held(index, naming, name, f"the index has no file {name!r}")
            meant.update({path: held[path] for path in found})
        removed = [
            Removed(
                naming.shown(path),
                None,
                source.documents,
                source.passages,
                _is_on_disk(path, naming.index_folder),
            )
            for path, source in meant.items()
        ]
        if not dry_run:
            for path in meant:
                index.remove_source(path)
            index.commit()
    return RemovalReport(naming.index_folder, tuple(removed), dry_run)


def remove_documents(
    folder: Path,
    document_ids: Sequence[str],
    names: Sequence[str] = (),
    *,
    wait: bool = False,
    dry_run: bool = False,
    seen_from: Path | None = None,
) -> RemovalReport:
    """Remove the documents of these ids, in the files of these ``names`` if any; all or none.

    Raises ``UsageError`` when several files have a document of an id, and else as ``remove_files``
    does.
    """
    naming = Names.of(folder, seen_from)
    with _opened(folder, wait=wait, dry_run=dry_run) as index:
        meant = [
            _document_meant(index, naming, document_id, names)
            for document_id in dict.fromkeys(document_ids)
        ]
        removed = [_remove(index, naming, *one, dry_run=dry_run) for one in dict.fromkeys(meant)]
        if not dry_run:
            index.commit()
    return RemovalReport(naming.index_folder, tuple(removed), dry_run)


def _opened(folder: Path, *, wait: bool, dry_run: bool) -> Index:
    return Index.open(folder) if dry_run else open_to_change(folder, wait=wait)


def _remove(index: Index, naming: Names, path: str, document_id: str, *, dry_run: bool) -> Removed:
    ((_, spans),) = index.stored_documents(path, document_id)
    if not dry_run:
        index.remove_document(path, document_id)
    on_disk = _is_on_disk(path, naming.index_folder)
    return Removed(naming.shown(path), document_id, 1, len(spans), on_disk)


def _document_meant(
    index: Index, naming: Names, given: str, names: Sequence[str]
) -> tuple[str, str]:
    """The index's path and the id of the one document that can be meant."""
    files: set[str] = set()
    for name in names:
        found = naming.beneath(name, [source.path for source in index.sources()])
        if not found:
            raise _not_held(index, naming, name, f"the index has no file {name!r}")
        files.update(found)
    document = naming.document(
        index,
        given,
        lambda path: not names or path in files,
        lambda shown: f"name the file as well: ragcli remove {shown} --document {given}",
    )
    if document is None:
        place = " in these files" if names else ""
        raise _not_held(index, naming, given, f"the index has no document {given!r}{place}")
    return document


def _not_held(index: Index, naming: Names, name: str, message: str) -> NotHeldError:
    return NotHeldError(f"{message}; nothing was removed", naming.advice(index, name))


def _is_on_disk(stored: str, index_folder: Path) -> bool:
    is_file = not stored.startswith(STREAM_PREFIX)
    return is_file and absolute_path(stored, index_folder).exists()
