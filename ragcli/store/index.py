"""One index folder, opened for reading the last commit or for writing the next."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING

from ragcli.errors import IndexMismatchError, IndexMissingError, RagcliError
from ragcli.records import Document, DocumentDescription, Passage, Scores, StoredPassage
from ragcli.store.catalogue import Catalogue, Manifest, explained
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.lock import WriteLock
from ragcli.store.manifest import IndexFingerprint, IndexSummary, SourceState
from ragcli.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from ragcli.store.vector_file import VectorFile
    from ragcli.store.vectors import VectorIndex

EmbeddedDocument = tuple[Document, Sequence[Passage], "NDArray[np.float32]"]
"""A document, its passages, and their vectors ``(n_passages, dimension)`` of unit length."""

_MEAN_SAMPLE = 1024  # a query's mean cosine to them is within .01 of that to all passages
_SAVE_SHARE = 8  # while writing, vectors.faiss is saved when 1/8 of it changed: linear in total


class Index:
    """The documents, passages and vectors of one folder.

    Opened with ``open`` it shows the last commit as of then, whatever a writer does meanwhile;
    opened with ``create_or_open`` it is the one writer and shows its own uncommitted changes.
    Closing drops what was not committed. Reading and writing raise ``IndexMismatchError`` on
    meeting damage in the catalogue and ``RagcliError`` when the disk fails.
    """

    def __init__(
        self, folder: Path, catalogue: Catalogue, manifest: Manifest, lock: WriteLock | None
    ) -> None:
        self.folder = folder
        self._catalogue = catalogue
        self._manifest = manifest
        self._lock = lock
        self._vectors: VectorIndex | None = None
        self._in_step = True  # the vectors in memory, or the file of this generation, are complete
        self._unsaved = 0  # passages added or removed since vectors.faiss was last in step
        self._closed = False
        self._frequencies: dict[str, int] = {}  # counted so far: to count walks a stem's passages
        self._passage_count: int | None = None

    @classmethod
    def open(cls, folder: Path) -> Index:
        """Open for reading.

        Raises ``IndexMissingError`` when there is no index, ``IndexMismatchError`` when it is of
        another schema or damaged.
        """
        catalogue = Catalogue.for_reading(folder / CATALOGUE_NAME)
        try:
            with explained(folder / CATALOGUE_NAME):
                manifest = catalogue.manifest()
            if manifest is None:
                raise IndexMissingError(f"no index in {folder}", 'run "ragcli index PATH"')
        except BaseException:
            catalogue.close()
            raise
        return cls(folder, catalogue, manifest, None)

    @classmethod
    def create_or_open(
        cls, folder: Path, fingerprint: IndexFingerprint, *, rebuild: bool = False
    ) -> Index:
        """Open for writing, making the index when there is none.

        ``rebuild`` begins from nothing; readers see the old contents until the first commit.
        Raises ``IndexBusyError`` when another process is writing, ``IndexMismatchError`` when the
        index has another fingerprint, ``RagcliError`` when the folder cannot be written.
        """
        lock = _locked(folder)
        try:
            catalogue = Catalogue.for_writing(folder / CATALOGUE_NAME)
            try:
                with explained(folder / CATALOGUE_NAME):
                    manifest = _prepare(folder, catalogue, fingerprint, rebuild=rebuild)
                index = cls(folder, catalogue, manifest, lock)
                index._check_file()
            except BaseException:
                catalogue.close()
                raise
        except BaseException:
            lock.release()
            raise
        return index

    @classmethod
    def bring_up_to_date(cls, folder: Path) -> None:
        """Bring an index of an older schema to the newest; embeds nothing.

        Raises ``IndexBusyError`` when another process is writing.
        """
        lock = _locked(folder)
        try:
            Catalogue.for_writing(folder / CATALOGUE_NAME).close()
        finally:
            lock.release()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; after an error at once, leaving ``vectors.faiss`` to the next run."""
        if kind is None:
            self.close()
        else:
            self._release()

    def close(self) -> None:
        """Drop what was not committed, bring ``vectors.faiss`` in step and give the lock back."""
        if self._closed:
            return
        try:
            if self._lock is not None:
                if self._catalogue.has_changes:
                    self._drop_changes()
                if self._unsaved:
                    self._save_vectors()
        finally:
            self._release()

    # -- what the index holds --------------------------------------------------------------

    @property
    def fingerprint(self) -> IndexFingerprint:
        """What made this index."""
        return self._manifest.fingerprint

    def summary(self) -> IndexSummary:
        """Counts, size and origin of the index; loads no vectors."""
        with self._explained():
            manifest = self._manifest if self._lock is None else _manifest_of(self._catalogue)
            sources, documents, passages = self._catalogue.counts()
        return IndexSummary(
            sources=sources,
            documents=documents,
            passages=passages,
            bytes_on_disk=_folder_bytes(self.folder),
            fingerprint=manifest.fingerprint,
            created_at=manifest.created_at,
            updated_at=manifest.updated_at,
            schema_version=len(MIGRATIONS),
        )

    def preferences(self) -> dict[str, str]:
        """What was chosen for this index, by name: how it is stored, how it is searched."""
        with self._explained():
            return self._catalogue.preferences()

    def passage_count(self) -> int:
        """How many passages the index holds."""
        if self._passage_count is None:
            with self._explained():
                self._passage_count = self._catalogue.counts()[2]
        return self._passage_count

    def source(self, path: str) -> SourceState | None:
        """The source stored under ``path``, ``None`` when there is none."""
        with self._explained():
            return self._catalogue.source(path)

    def sources(self) -> list[SourceState]:
        """All sources in the order of their paths."""
        with self._explained():
            return self._catalogue.sources()

    def documents(self, path: str) -> list[Document]:
        """The documents of the source ``path`` as they were added, texts included."""
        with self._explained():
            return self._catalogue.documents(path)

    def passages(self, passage_ids: Sequence[int]) -> list[StoredPassage]:
        """The passages with these ids, in this order; raises ``KeyError`` for an unknown id."""
        with self._explained():
            return self._catalogue.passages(passage_ids)

    def document_keys(self, passage_ids: Sequence[int]) -> dict[int, int]:
        """Which document each of these passages is of, by a key that tells documents apart."""
        with self._explained():
            return self._catalogue.document_keys(passage_ids)

    def vectors(self, passage_ids: Sequence[int]) -> NDArray[np.float32]:
        """The vectors ``(n, dimension)`` of these passages, in this order."""
        import numpy as np

        with self._explained():
            read = list(self._catalogue.vectors(passage_ids))
        by_id = {
            passage_id: row
            for ids, blob in read
            for passage_id, row in zip(
                ids, np.frombuffer(blob, dtype="<f4").reshape(len(ids), -1), strict=True
            )
        }
        rows = [by_id[passage_id] for passage_id in passage_ids]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.fingerprint.dimension)

    def mean_vector(self) -> NDArray[np.float32]:
        """Mean ``(dimension,)`` of the passages' vectors, of a spread sample where there are many.

        Zero for an empty index.
        """
        with self._explained():
            sample = self._catalogue.spread_passage_ids(_MEAN_SAMPLE)
        total: NDArray[np.float32] = self.vectors(sample).sum(axis=0)
        total /= max(len(sample), 1)
        return total

    def passage_documents(self) -> Iterator[tuple[int, str, str, bool]]:
        """Of every passage: its id, its document's id and path, and whether that is a record."""
        with self._explained():
            yield from self._catalogue.passage_documents()

    def search(
        self, vectors: NDArray[np.float32], k: int, among: frozenset[int] | None = None
    ) -> list[Scores]:
        """The ``k`` best passages by inner product for each of the queries ``(n, dimension)``.

        A list of ``(passage_id, score)`` a query, best first, ties in the order of the ids, fewer
        than ``k`` when there are fewer. ``among`` are the passages to choose from, by default all.
        """
        with self._explained():
            return self._current_vectors().search(vectors, k, among)

    def search_words(self, expression: str, k: int, among: frozenset[int] | None = None) -> Scores:
        """The ``k`` best passages by BM25 for an FTS5 ``expression``; loads no vectors.

        Best first, ties in the order of the ids; only passages that the expression matches.
        ``among`` are the passages to choose from, by default all.
        """
        with self._explained():
            return self._catalogue.search_words(expression, k, among)

    def document_frequencies(self, stems: Sequence[str]) -> Mapping[str, int]:
        """In how many passages each of these stems stands; those in none are left out."""
        unknown = [stem for stem in stems if stem not in self._frequencies]
        if unknown:
            with self._explained():
                counted = self._catalogue.document_frequencies(unknown)
            self._frequencies.update({stem: counted.get(stem, 0) for stem in unknown})
        return {stem: n for stem in stems if (n := self._frequencies[stem])}

    def described_documents(self) -> Iterator[DocumentDescription]:
        """Every document, without its text."""
        with self._explained():
            yield from self._catalogue.described_documents()

    def passages_of(self, document_keys: Sequence[int]) -> list[int]:
        """Ids of the passages of the documents with these keys, unsorted."""
        with self._explained():
            return list(self._catalogue.passages_of(document_keys))

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.folder / CATALOGUE_NAME)

    # -- changes ---------------------------------------------------------------------------

    def replace_source(self, source: SourceState, documents: Sequence[EmbeddedDocument]) -> int:
        """Put ``documents`` in place of what the source held, all or nothing, until ``commit``.

        Returns the number of passages removed. Raises ``ValueError`` when vectors, passages and
        documents do not fit together.
        """
        _check_unique(document.document_id for document, _, _ in documents)
        for embedded in documents:
            _check_embedded(source, embedded, self.fingerprint.dimension)
        with self._changing():
            removed = self._catalogue.remove_source(source.path)
            source_key = self._catalogue.add_source(source)
            for document, passages, vectors in documents:
                document_key = self._catalogue.add_document(source_key, document)
                for passage, vector in zip(passages, vectors.astype("<f4"), strict=True):
                    self._catalogue.add_passage(document_key, passage, vector.tobytes())
            self._passages_changed(removed + sum(len(passages) for _, passages, _ in documents))
        return removed

    def update_source(self, source: SourceState) -> None:
        """Write down a new size or time of a source whose documents stay as they are.

        Raises ``KeyError`` when the source is unknown.
        """
        with self._changing():
            if not self._catalogue.update_source(source):
                raise KeyError(source.path)

    def remove_source(self, path: str) -> int:
        """Remove a source with its documents; the number of passages removed."""
        with self._changing():
            removed = self._catalogue.remove_source(path)
            self._passages_changed(removed)
        return removed

    def prefer(self, name: str, value: str | None) -> None:
        """Keep a choice for this index, through rebuilds as well; ``None`` forgets it."""
        with self._changing():
            self._catalogue.prefer(name, value)

    def commit(self) -> None:
        """Make the changes durable: from here on a kill cannot lose them."""
        if not self._catalogue.has_changes:
            return
        try:
            with self._explained():
                self._catalogue.commit()
        except BaseException:
            self._drop_changes()
            raise
        self._manifest = _manifest_of(self._catalogue)
        if self._unsaved * _SAVE_SHARE > self._catalogue.counts()[2]:
            self._save_vectors()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        if self._lock is None:
            raise ValueError("the index was opened for reading")
        try:
            with self._explained(), self._catalogue.changing():
                yield
        except BaseException:
            if not self._catalogue.has_changes:  # a full disk took the earlier changes as well
                self._drop_changes()
            raise

    def _forget_counts(self) -> None:
        self._frequencies.clear()
        self._passage_count = None

    def _passages_changed(self, count: int) -> None:
        self._forget_counts()
        if count:
            self._unsaved += count
            self._in_step = False

    def _drop_changes(self) -> None:
        self._catalogue.roll_back()
        self._forget_counts()
        # Ids of dropped passages will be given out again: vectors in memory are void.
        self._vectors = None
        self._in_step = False
        self._manifest = _manifest_of(self._catalogue)

    # -- vectors ---------------------------------------------------------------------------

    @property
    def _file(self) -> VectorFile:
        from ragcli.store.vector_file import VectorFile

        return VectorFile(self.folder)

    def _check_file(self) -> None:
        """Settle, as the one writer, what earlier writers left of ``vectors.faiss``."""
        self._file.remove_leftovers()
        footer = self._file.footer()
        ours = footer is not None and footer.lineage == self._manifest.lineage
        if footer is not None and ours and footer.generation > self._manifest.generation:
            # The catalogue came back from a backup: ids in the file will be given out again.
            self._file.discard()
            footer = None
        if footer is None or not ours or footer.generation != self._manifest.generation:
            self._in_step = False
            self._unsaved += 1

    def _current_vectors(self) -> VectorIndex:
        """The vectors of exactly the passages that the catalogue shows here."""
        if self._vectors is None:
            self._vectors = self._load_vectors()
        self._bring_in_step(self._vectors)
        return self._vectors

    def _load_vectors(self) -> VectorIndex:
        from ragcli.store.vectors import VectorIndex

        loaded = self._file.load(self._manifest.lineage, self.fingerprint.dimension)
        if loaded is not None:
            vectors, generation = loaded
            current = generation == self._manifest.generation
            self._in_step &= current and len(vectors) == self._catalogue.counts()[2]
            return vectors
        vectors = VectorIndex(self.fingerprint.dimension)
        self._in_step = False
        self._bring_in_step(vectors)
        if self._lock is None:  # spare the next reader the rebuilding
            self._file.save(vectors, self._manifest.lineage, self._manifest.generation)
        return vectors

    def _bring_in_step(self, vectors: VectorIndex) -> None:
        if not self._in_step:
            import numpy as np

            wanted = np.fromiter(self._catalogue.passage_ids(), dtype=np.int64)
            vectors.bring_in_step(wanted, self._catalogue.vectors)
            self._in_step = True

    def _save_vectors(self) -> None:
        with self._explained():
            vectors = self._current_vectors()
        if self._file.save(vectors, self._manifest.lineage, self._manifest.generation):
            self._unsaved = 0

    def _release(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._vectors = None
        try:
            self._catalogue.close()
        finally:
            if self._lock is not None:
                self._lock.release()


def _locked(folder: Path) -> WriteLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = WriteLock(folder)
        lock.acquire()
    except OSError as error:
        raise RagcliError(
            f"cannot write an index in {folder}: {error.strerror or error}",
            "choose another folder with --index",
        ) from error
    return lock


def _prepare(
    folder: Path, catalogue: Catalogue, fingerprint: IndexFingerprint, *, rebuild: bool
) -> Manifest:
    """The manifest of the index to write, begun anew when it is new or to be rebuilt."""
    manifest = catalogue.manifest()
    if manifest is None:
        catalogue.start(fingerprint)
        catalogue.commit()
    elif rebuild:
        catalogue.start(fingerprint)
    else:
        _require_same(folder, manifest.fingerprint, fingerprint)
    return _manifest_of(catalogue)


def _require_same(folder: Path, made_with: IndexFingerprint, wanted: IndexFingerprint) -> None:
    differences = made_with.differences(wanted)
    if differences:
        listed = ", ".join(
            f"{name.replace('_', ' ')} {reprlib.repr(ours)} (now {reprlib.repr(theirs)})"
            for name, (ours, theirs) in differences.items()
        )
        raise IndexMismatchError(
            f"the index in {folder} was made with {listed}",
            "use the settings it was made with, or index again with --rebuild",
        )


def _manifest_of(catalogue: Catalogue) -> Manifest:
    manifest = catalogue.manifest()
    if manifest is None:
        raise RuntimeError("the catalogue lost its manifest")
    return manifest


def _folder_bytes(folder: Path) -> int:
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # a writer's partial files come and go
            total += file.stat().st_size
    return total


def _check_unique(document_ids: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(document_ids).items() if count > 1]
    if repeated:
        raise ValueError(f"document {repeated[0]!r} is given twice")


def _check_embedded(source: SourceState, embedded: EmbeddedDocument, dimension: int) -> None:
    import numpy as np

    document, passages, vectors = embedded
    name = f"document {document.document_id!r}"
    if document.path != source.path:
        raise ValueError(f"{name} has path {document.path!r}, its source {source.path!r}")
    if vectors.shape != (len(passages), dimension):
        raise ValueError(f"{name}: vectors {vectors.shape}, expected {(len(passages), dimension)}")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{name}: a vector is not finite")
    for passage in passages:
        if document.text[passage.start : passage.end] != passage.text:
            raise ValueError(f"{name}: passage at {passage.start} is not its document's text")
