"""The use case ``index``: bring an index up to date with files and folders."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ragcli.corpus.loaders import SUPPORTED_SUFFIXES, RecordFields, content_hash, load
from ragcli.corpus.walk import Problem, walk
from ragcli.engine.embedding import Embedder
from ragcli.engine.encoders import check_requested
from ragcli.engine.paths import shown_path
from ragcli.engine.progress import IndexProgress, Meter
from ragcli.engine.writing import Change, Writer
from ragcli.errors import IndexMissingError, IndexOutdatedError, LoadError, UsageError
from ragcli.records import Document
from ragcli.store import (
    DEFAULT_FOLDER,
    Index,
    SourceState,
    absolute_path,
    check_index_type,
    check_recall,
    locate_index,
    stored_path,
)

RECORD_SUFFIXES = frozenset({".jsonl", ".ndjson", ".csv", ".tsv"})

RACY_NANOSECONDS = 2_000_000_000
"""A file this fresh may change again without its time stamp showing it."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did: counts of files and of passages, wall time in seconds.

    ``failed`` are files, or single records of a file, that could not be read; what the index had
    of a file that failed stays in it.
    """

    index: Path
    added: int
    updated: int
    unchanged: int
    removed: int
    passages_added: int
    passages_removed: int
    failed: tuple[Problem, ...]
    seconds: float


def folder_to_write(explicit: Path | None, start: Path) -> Path:
    """Return the index folder to bring up to date: as for a search, else ``.ragcli`` in ``start``.

    So a folder beneath an indexed one adds to that index, as git does.
    """
    try:
        return locate_index(explicit, start)
    except IndexMissingError:
        return start / DEFAULT_FOLDER


def index_paths(
    paths: Sequence[Path],
    folder: Path,
    *,
    encoder_name: str | None = None,
    fields: RecordFields = RecordFields(),
    index_type: str | None = None,
    recall: float | None = None,
    rebuild: bool = False,
    seen_from: Path | None = None,
    progress: Callable[[IndexProgress], None] = lambda _: None,
) -> IndexReport:
    """Bring the index in ``folder`` up to date with the files in and beneath ``paths``.

    Files that did not change are skipped, changed ones replaced, and those that vanished
    beneath ``paths`` removed. ``rebuild`` embeds everything anew, also what the index holds from
    elsewhere. Record fields that are not named stay those a file was last read with. So do the
    ``index_type`` (a name or a FAISS factory string) and the ``recall`` that it is tuned to. Paths
    of problems are shown from ``seen_from``, the current folder by default.

    Raises ``UsageError`` when there is nothing to index or no such index type,
    ``IndexMismatchError`` when another encoder made the index, ``IndexBusyError`` while another
    process writes.
    """
    started = time.monotonic()
    folder, roots = folder.resolve(), [path.resolve() for path in paths]
    files, problems = _walk(roots)
    with _earlier_index(folder) as earlier:
        if earlier is None and not files:
            raise _nothing_to_index(paths, problems)
        embedder = _embedder(earlier, encoder_name, rebuild)
        _check_choices(embedder, index_type, recall)
        before = earlier.summary().passages if earlier else 0
        with Index.create_or_open(folder, embedder.index_fingerprint, rebuild=rebuild) as index:
            index.choose(index_type, recall)
            writer = Writer(index, embedder, Meter(progress))
            run = _Run(index, earlier if rebuild else None, writer, fields, _shower(seen_from))
            run.update(files)
            run.settle_others(roots, files, problems)
            index.commit()
            index.adopt()
            after = index.summary().passages
    embedded = writer.meter.passages
    return IndexReport(
        index=folder,
        added=run.added,
        updated=run.updated,
        unchanged=run.unchanged,
        removed=run.removed,
        passages_added=embedded,
        passages_removed=before + embedded - after,
        failed=tuple(run.failed),
        seconds=time.monotonic() - started,
    )


def _shower(seen_from: Path | None) -> Callable[[Path], str]:
    """Return how an absolute path is shown to a person who stands in ``seen_from``."""
    view = (seen_from or Path.cwd()).resolve()
    return lambda file: shown_path(file, view)


def _walk(roots: Sequence[Path]) -> tuple[list[Path], list[Problem]]:
    files: list[Path] = []
    problems: list[Problem] = []
    for found in walk(roots):
        if isinstance(found, Problem):
            problems.append(found)
        else:
            files.append(found)
    return files, problems


@contextmanager
def _earlier_index(folder: Path) -> Iterator[Index | None]:
    """Open what the index held before the run, which stays readable while it is rewritten."""
    try:
        index = Index.open(folder)
    except IndexMissingError:
        yield None
        return
    except IndexOutdatedError:
        Index.bring_up_to_date(folder)
        index = Index.open(folder)
    with index:
        yield index


def _nothing_to_index(paths: Sequence[Path], problems: Sequence[Problem]) -> UsageError:
    if problems:
        told = "; ".join(f"{found.path}: {found.reason}" for found in problems)
        return UsageError(f"nothing to index: {told}", "name files or folders with documents")
    named = ", ".join(map(str, paths))
    formats = " ".join(sorted(SUPPORTED_SUFFIXES))
    return UsageError(f"nothing to index in {named}", f"formats that are read: {formats}")


def _embedder(earlier: Index | None, requested: str | None, rebuild: bool) -> Embedder:
    """Choose the encoder: the one asked for, else the index's own, else the default."""
    if earlier is None:
        return Embedder(requested)
    if not rebuild:
        check_requested(earlier.fingerprint, requested)
    return Embedder(requested or earlier.fingerprint.encoder_name)


def _check_choices(embedder: Embedder, index_type: str | None, recall: float | None) -> None:
    """Refuse what cannot be meant before anything is read or written."""
    if index_type is not None:
        check_index_type(index_type, embedder.index_fingerprint.dimension)
    if recall is not None:
        check_recall(recall)


class _Run:
    """One run of ``index``: tells what changed, and counts it.

    ``replaced`` is what the index held before a rebuild, ``None`` without one.
    """

    def __init__(
        self,
        index: Index,
        replaced: Index | None,
        writer: Writer,
        fields: RecordFields,
        show: Callable[[Path], str],
    ) -> None:
        self._index = index
        self._replaced = replaced
        self._held = index if replaced is None else replaced
        self._writer = writer
        self._fields = fields
        self._show = show
        self.failed: list[Problem] = []
        self.added = self.updated = self.unchanged = self.removed = 0

    def update(self, files: Sequence[Path]) -> None:
        """Bring the index in step with each of ``files``."""
        sizes = [_size(file) for file in files]
        self._writer.meter.start(len(files), sum(sizes))
        for file, size in zip(files, sizes, strict=True):
            change = self._change_of(file)
            if change is None:
                self._writer.meter.done(1, size)
            else:
                self._writer.add(change)
        self._writer.flush()

    def settle_others(
        self, roots: Sequence[Path], files: Sequence[Path], problems: Sequence[Problem]
    ) -> None:
        """Remove what vanished beneath ``roots``; a rebuild keeps all else the index held.

        What lies beneath a problem, such as a folder that cannot be listed, did not vanish.
        """
        met = set(files)
        unreadable = [Path(problem.path) for problem in problems]
        self.failed += [replace(found, path=self._show(Path(found.path))) for found in problems]
        for source in self._held.sources():
            file = absolute_path(source.path, self._index.folder)
            if file in met:
                continue
            if _beneath(file, roots) and not _beneath(file, unreadable):
                self._index.remove_source(source.path)
                self.removed += 1
            elif self._replaced is not None:
                self._writer.add(Change(source, self._replaced.documents(source.path)))
        self._writer.flush()

    def _change_of(self, file: Path) -> Change | None:
        """Read ``file``, ``None`` when the index may stay as it is."""
        path = stored_path(file, self._index.folder)
        known = self._held.source(path)
        fields = self._fields_of(file, known)
        try:
            source = _observe(file, path, _settings(file, fields), known)
            if known is not None and self._replaced is None and _same_content(source, known):
                self._note_unchanged(source, known)
                return None
            documents, bad_records = self._load(file, path, fields)
        except (OSError, LoadError) as error:
            self.failed.append(Problem(self._show(file), _reason(error)))
            return self._as_before(known)
        self.failed += bad_records
        if bad_records and not documents:  # the whole file is bad
            return self._as_before(known)
        self.added += known is None
        self.updated += known is not None
        return Change(source, documents)

    def _fields_of(self, file: Path, known: SourceState | None) -> RecordFields:
        if known is None or not known.settings or self._fields != RecordFields():
            return self._fields
        return RecordFields(**json.loads(known.settings))

    def _note_unchanged(self, source: SourceState, known: SourceState) -> None:
        self.unchanged += 1
        if source != known:  # spare the next run the hashing
            self._index.update_source(source)

    def _load(
        self, file: Path, path: str, fields: RecordFields
    ) -> tuple[list[Document], list[Problem]]:
        """Read the documents of ``file`` and its bad records, as the person sees their place."""
        documents: list[Document] = []
        bad_records: list[Problem] = []
        for found in load(file, path, fields):
            if isinstance(found, Problem):
                shown = self._show(file) + found.path.removeprefix(path)
                bad_records.append(replace(found, path=shown))
            else:
                documents.append(found)
        return documents, bad_records

    def _as_before(self, known: SourceState | None) -> Change | None:
        """Keep, in a rebuild too, what the index had of a file that cannot be read now."""
        if known is None or self._replaced is None:
            return None
        return Change(known, self._replaced.documents(known.path))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _beneath(file: Path, folders: Sequence[Path]) -> bool:
    return any(file.is_relative_to(folder) for folder in folders)


def _settings(file: Path, fields: RecordFields) -> str:
    """How ``file`` is read, as the index remembers it: the names of record fields."""
    return json.dumps(asdict(fields)) if file.suffix.lower() in RECORD_SUFFIXES else ""


def _observe(file: Path, path: str, settings: str, known: SourceState | None) -> SourceState:
    """Look at ``file`` as it is now; its bytes are read only when size or time changed.

    A negative time stamp is that of a file so fresh that the next run has to read its bytes.
    Raises ``OSError``.
    """
    status = file.stat()
    settled = time.time_ns() - status.st_mtime_ns > RACY_NANOSECONDS
    if known and (known.size, known.modified_ns) == (status.st_size, status.st_mtime_ns):
        digest = known.content_hash
    else:
        digest = content_hash(file)
    modified = status.st_mtime_ns if settled else -status.st_mtime_ns
    return SourceState(path, digest, status.st_size, modified, settings)


def _same_content(source: SourceState, known: SourceState) -> bool:
    return (source.content_hash, source.settings) == (known.content_hash, known.settings)


def _reason(error: OSError | LoadError) -> str:
    if isinstance(error, LoadError):
        return error.message
    return f"cannot be read: {error.strerror or error}"
