"""The use case ``merge``: indexes that were made apart become one, without embedding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragcli.engine.changing import earlier_fingerprint
from ragcli.engine.paths import STREAM_PREFIX
from ragcli.errors import IndexMismatchError, IndexMissingError
from ragcli.records import Document
from ragcli.store import (
    DEFAULT_FOLDER,
    INCOMPLETE,
    EmbeddedDocument,
    Index,
    IndexFingerprint,
    SourceState,
    absolute_path,
    holds_index,
    locate_index,
    stored_path,
)

BATCH_PASSAGES = 512
"""Passages committed together: what a kill can lose."""

BATCH_FILES = 256
"""Files committed together at most, however few passages they have."""

_INSIDE = ("/", "#")  # follow the path in the id of an archive's member, and of a nameless record


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge did: counts of the files of the indexes that were merged, and of passages.

    Each file was ``added``, took the place of an older one (``replaced``), was there already
    (``unchanged``), or was left out because the target holds a newer one (``kept``) or another of
    the indexes does (``superseded``). ``indexes`` counts those that were merged, without the
    target itself.
    """

    index: Path
    indexes: int
    added: int
    replaced: int
    unchanged: int
    kept: int
    superseded: int
    passages_added: int
    passages_removed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class MergeProgress:
    """How far a merge has come."""

    files_done: int
    files_total: int
    passages: int


@dataclass(frozen=True, slots=True)
class _File:
    """A file of one of the indexes, which calls it ``stored``; ``state`` is for the target."""

    index: Index
    stored: str
    state: SourceState


@dataclass(slots=True)
class _Tally:
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    kept: int = 0
    superseded: int = 0
    passages_added: int = 0
    passages_removed: int = 0


def target_to_merge_into(explicit: Path | None, start: Path) -> Path:
    """Return the index folder to merge into: as for a search, else ``.ragcli`` in ``start``."""
    try:
        return locate_index(explicit, start)
    except IndexMissingError:
        return start / DEFAULT_FOLDER


def merge_indexes(
    folders: Sequence[Path],
    target: Path,
    *,
    wait: bool = False,
    progress: Callable[[MergeProgress], None] = lambda _: None,
) -> MergeReport:
    """Copy what the indexes in ``folders`` hold into ``target``, which is made when missing.

    A folder may also be one that holds its index as ``.ragcli``. Files keep their places on the
    disk: each path is meant from its own index, and written down anew from the target. Of two
    versions of a file a complete one counts more than one that is not, then the newer one. ``wait``
    waits while another process writes to the target.

    All indexes are looked at before anything is written: raises ``IndexMissingError`` when there is
    none, ``IndexMismatchError`` when one is damaged or was made otherwise. What was committed stays
    when a later one turns out to be damaged, or when the merge is killed; another goes on from
    there.
    """
    started = time.monotonic()
    target = target.resolve()
    tally, indexes = _Tally(), []
    with ExitStack() as stack:
        for folder in dict.fromkeys(_index_folder(folder) for folder in folders):
            if folder == target:
                Index.open(folder).close()  # it must be there, and has nothing to give
            else:
                indexes.append(stack.enter_context(Index.open(folder)))
        if indexes:
            fingerprint = _common_fingerprint(indexes, target, wait=wait)
            files = _newest(indexes, target, tally)
            with Index.create_or_open(target, fingerprint, wait=wait) as index:
                _Merger(index, tally, progress).merge(files)
    return MergeReport(
        target,
        len(indexes),
        tally.added,
        tally.replaced,
        tally.unchanged,
        tally.kept,
        tally.superseded,
        tally.passages_added,
        tally.passages_removed,
        time.monotonic() - started,
    )


def _index_folder(folder: Path) -> Path:
    inner = folder / DEFAULT_FOLDER
    return (inner if holds_index(inner) and not holds_index(folder) else folder).resolve()


def _common_fingerprint(indexes: Sequence[Index], target: Path, *, wait: bool) -> IndexFingerprint:
    """What made all of them; raises ``IndexMismatchError`` when two were made differently."""
    first = indexes[0]
    for other in indexes[1:]:
        _require_same(first.fingerprint, first.folder, other.fingerprint, other.folder)
    held = earlier_fingerprint(target, wait=wait)
    if held is not None:
        _require_same(held, target, first.fingerprint, first.folder)
    return first.fingerprint


def _require_same(
    ours: IndexFingerprint, our_folder: Path, theirs: IndexFingerprint, their_folder: Path
) -> None:
    differences = ours.differences(theirs)
    if differences:
        listed = "; ".join(
            f"{name.replace('_', ' ')} {their!r}, not {our!r}"
            for name, (our, their) in differences.items()
        )
        raise IndexMismatchError(
            f"the index in {their_folder} was made otherwise than that in {our_folder}: {listed}",
            "vectors of two encoders cannot be compared: index its files with the same settings; "
            "nothing was changed",
        )


def _newest(indexes: Sequence[Index], target: Path, tally: _Tally) -> Mapping[str, _File]:
    """The version to take of each file of the ``indexes``, by the path it has in the target."""
    newest: dict[str, _File] = {}
    for index in indexes:
        for source in index.sources():
            path = _path_in(target, index, source.path)
            file = _File(index, source.path, replace(source, path=path))
            other = newest.setdefault(path, file)
            if other is file:
                continue
            if _is_same(file.state, other.state):
                tally.unchanged += 1
            else:
                tally.superseded += 1
            # Also of the same content: how new it is decides against what the target holds.
            if _is_better(file.state, other.state):
                newest[path] = file
    return newest


def _path_in(target: Path, index: Index, stored: str) -> str:
    if stored.startswith(STREAM_PREFIX):
        return stored
    return stored_path(absolute_path(stored, index.folder), target)


def _is_same(one: SourceState, other: SourceState) -> bool:
    """Whether both are whole, and the same file read in the same way."""
    if INCOMPLETE in (one.content_hash, other.content_hash):
        return False
    return (one.content_hash, one.settings) == (other.content_hash, other.settings)


def _is_better(one: SourceState, other: SourceState) -> bool:
    return _worth(one) > _worth(other)


def _is_begun(held: SourceState, file: SourceState) -> bool:
    """Whether ``held`` is what a killed merge of ``file`` left, if that is incomplete itself."""
    return held.content_hash == INCOMPLETE and _worth(held) == _worth(file)


def _worth(state: SourceState) -> tuple[bool, int]:
    return state.content_hash != INCOMPLETE, abs(state.modified_ns)


@dataclass(slots=True)
class _Merger:
    """Writes files of other indexes to ``index``, and commits them in batches."""

    index: Index
    tally: _Tally
    progress: Callable[[MergeProgress], None]
    files_done: int = field(default=0, init=False)
    files_total: int = field(default=0, init=False)
    uncommitted_passages: int = field(default=0, init=False)
    uncommitted_files: int = field(default=0, init=False)

    def merge(self, files: Mapping[str, _File]) -> None:
        self.files_total = len(files)
        for path, file in files.items():
            self._take(file, self.index.source(path))
            self.files_done += 1
            self._tell()
        self.index.commit()

    def _take(self, file: _File, held: SourceState | None) -> None:
        if held is None:
            self._copy(file)
            self.tally.added += 1
        elif _is_same(file.state, held):
            self.tally.unchanged += 1
        elif not (_is_better(file.state, held) or _is_begun(held, file.state)):
            self.tally.kept += 1
        elif self._copy(file):
            self.tally.replaced += 1
        else:
            self.tally.unchanged += 1

    def _copy(self, file: _File) -> bool:
        """Put a file's documents in place of those held; whether that changed any."""
        before = self.tally.passages_added, self.tally.passages_removed
        source = file.state
        source_key = self.index.begin_source(source)
        with _damage_explained(file):
            for embedded in file.index.embedded_documents(file.stored):
                self._put(source_key, source, embedded)
        # Of a file that is incomplete nobody knows which documents it has no longer.
        whole = source.content_hash != INCOMPLETE
        self.tally.passages_removed += self.index.finish_source(source_key, source, whole=whole)
        self._commit_if_due(files=1)
        return before != (self.tally.passages_added, self.tally.passages_removed)

    def _put(self, source_key: int, source: SourceState, embedded: EmbeddedDocument) -> None:
        document, passages, vectors = embedded
        document = _renamed(document, source.path)
        if self.index.keep_document(source_key, document):
            return
        removed = self.index.put_document(source_key, source, (document, passages, vectors))
        self.tally.passages_removed += removed or 0
        self.tally.passages_added += len(passages)
        self._commit_if_due(passages=len(passages))

    def _commit_if_due(self, *, passages: int = 0, files: int = 0) -> None:
        self.uncommitted_passages += passages
        self.uncommitted_files += files
        if self.uncommitted_passages >= BATCH_PASSAGES or self.uncommitted_files >= BATCH_FILES:
            self.index.commit()
            self.uncommitted_passages = self.uncommitted_files = 0
            self._tell()

    def _tell(self) -> None:
        told = MergeProgress(self.files_done, self.files_total, self.tally.passages_added)
        self.progress(told)


@contextmanager
def _damage_explained(file: _File) -> Iterator[None]:
    """Turn what does not fit together in a file of another index into an error with a remedy."""
    try:
        yield
    except ValueError as error:
        raise IndexMismatchError(
            f"the index in {file.index.folder} is damaged: {error}",
            f'run "ragcli doctor --repair --index {file.index.folder}"; '
            "what was merged before it is kept",
        ) from error


def _renamed(document: Document, path: str) -> Document:
    """The document of a file whose path is written down as ``path``; its id may hold the path."""
    held, document_id = document.path, document.document_id
    if document_id == held or document_id.startswith(tuple(held + sign for sign in _INSIDE)):
        document_id = path + document_id[len(held) :]
    return replace(document, path=path, document_id=document_id)
