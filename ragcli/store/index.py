"""One index folder, opened for reading the last commit or for writing the next."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ragcli.errors import IndexMismatchError, IndexMissingError
from ragcli.records import Document, DocumentDescription, Scores, StoredPassage
from ragcli.store.catalogue import Catalogue, Manifest
from ragcli.store.connection import explained
from ragcli.store.embedded import EmbeddedDocument, check_embedded, check_unique
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.lock import WriteLock, acquired_lock, locked
from ragcli.store.manifest import INCOMPLETE, IndexFingerprint, IndexSummary, SourceState
from ragcli.store.rebuilding import prepare_rebuild, remove_rebuild, replace_catalogue
from ragcli.store.schema import MIGRATIONS
from ragcli.store.vectors.derived import CHOICE, RECALL, DerivedVectors
from ragcli.store.vectors.kinds import AUTO, DEFAULT_RECALL, check_index_type, check_recall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from ragcli.store.contents import Contents, HeldDocument, HeldSource

_MEAN_SAMPLE = 1024  # a query's mean cosine to them is within .01 of that to all passages


class Index:
    """The documents, passages and vectors of one folder.

    Opened with ``open`` it shows the last commit as of then, whatever a writer does meanwhile;
    opened with ``create_or_open`` it is the one writer and shows its own uncommitted changes.
    Closing drops what was not committed. Reading and writing raise ``IndexMismatchError`` on
    meeting damage in the catalogue and ``RagcliError`` when the disk fails.
    """

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        manifest: Manifest,
        lock: WriteLock | None,
        staged: Path | None = None,
    ) -> None:
        self.folder = folder
        self._catalogue = catalogue
        self._manifest = manifest
        self._lock = lock
        self._staged = staged  # the catalogue of a rebuild, until it takes the other's place
        self._vectors = DerivedVectors(folder, catalogue, manifest, writing=lock is not None)
        self._closed = False
        self._frequencies: dict[str, int] = {}  # counted so far: to count walks a stem's passages
        self._passage_count: int | None = None
        self._mean: NDArray[np.float32] | None = None

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
        cls,
        folder: Path,
        fingerprint: IndexFingerprint,
        *,
        rebuild: bool = False,
        wait: bool = False,
    ) -> Index:
        """Open for writing, making the index when there is none.

        ``rebuild`` begins from nothing, beside what the index holds, or goes on where an earlier
        rebuild with this fingerprint was killed; readers see the old contents until ``adopt``.
        ``wait`` waits while another process is writing. Raises ``IndexBusyError`` when another
        process is writing, ``IndexMismatchError`` when the index has another fingerprint,
        ``RagcliError`` when the folder cannot be written.
        """
        lock = acquired_lock(folder, wait=wait)
        try:
            staged = None
            if rebuild and Catalogue.is_begun(folder / CATALOGUE_NAME):
                staged = prepare_rebuild(folder, fingerprint)
            path = staged or folder / CATALOGUE_NAME
            catalogue = Catalogue.for_writing(path)
            try:
                with explained(path):
                    manifest = _prepare(folder, catalogue, fingerprint)
                index = cls(folder, catalogue, manifest, lock, staged)
                if staged is None:
                    index._vectors.settle()
            except BaseException:
                catalogue.close()
                raise
        except BaseException:
            lock.release()
            raise
        return index

    def adopt(self) -> None:
        """Let what a rebuild committed take the place of what the index held, in one step.

        Does nothing without a rebuild.
        """
        if self._staged is None:
            return
        with self._explained():
            replace_catalogue(self._staged, self.folder)
        adopted = Catalogue.for_writing(self.folder / CATALOGUE_NAME)
        self._catalogue.close()
        self._catalogue, self._staged = adopted, None
        remove_rebuild(self.folder)
        self._manifest = _manifest_of(adopted)
        self._vectors = DerivedVectors(self.folder, self._catalogue, self._manifest, writing=True)
        self._vectors.settle()

    @classmethod
    def bring_up_to_date(cls, folder: Path, *, wait: bool = False) -> None:
        """Bring an index of an older schema to the newest; embeds nothing.

        Raises ``IndexBusyError`` when another process is writing.
        """
        with locked(folder, wait=wait):
            Catalogue.for_writing(folder / CATALOGUE_NAME).close()

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
                if self._staged is None:
                    with self._explained():
                        self._vectors.save_if_due()
        finally:
            self._release()

    # -- what the index holds --------------------------------------------------------------

    @property
    def fingerprint(self) -> IndexFingerprint:
        """What made this index."""
        return self._manifest.fingerprint

    @property
    def lineage(self) -> str:
        """Which index this is: new for every index and every rebuild, 32 hexadecimal digits."""
        return self._manifest.lineage.hex

    @property
    def generation(self) -> int:
        """How many commits have changed passages since this index was made."""
        return self._manifest.generation

    def summary(self) -> IndexSummary:
        """Counts, size and origin of the index; loads no vectors."""
        with self._explained():
            manifest = self._manifest if self._lock is None else _manifest_of(self._catalogue)
            sources, documents, passages = self._catalogue.counts()
            preferences = self._catalogue.preferences()
            derivation = self._vectors.derivation()
        return IndexSummary(
            sources=sources,
            documents=documents,
            passages=passages,
            bytes_on_disk=_folder_bytes(self.folder),
            fingerprint=manifest.fingerprint,
            created_at=manifest.created_at,
            updated_at=manifest.updated_at,
            schema_version=len(MIGRATIONS),
            index_choice=preferences.get(CHOICE, AUTO),
            requested_recall=float(preferences.get(RECALL, DEFAULT_RECALL)),
            derivation=derivation,
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

    def document_passages(self, document_id: str) -> list[StoredPassage]:
        """The passages of the documents with this id, in order; none when there is no such."""
        with self._explained():
            return self._catalogue.passages(self._catalogue.document_passage_ids(document_id))

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
        if self._mean is not None:
            return self._mean
        with self._explained():
            sample = self._catalogue.spread_passage_ids(_MEAN_SAMPLE)
        total: NDArray[np.float32] = self.vectors(sample).sum(axis=0)
        total /= max(len(sample), 1)
        self._mean = total
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
            return self._vectors.current().search(vectors, k, among)

    def search_words(self, expression: str, k: int, among: frozenset[int] | None = None) -> Scores:
        """The ``k`` best passages by BM25 for an FTS5 ``expression``; loads no vectors.

        Best first, ties in the order of the ids; only passages that the expression matches.
        ``among`` are the passages to choose from, by default all.
        """
        with self._explained():
            return self._catalogue.search_words(expression, k, among)

    def score_document_words(self, expression: str, passage_ids: Sequence[int]) -> dict[int, float]:
        """BM25 of the whole documents that these passages are of, by passage id.

        Only of documents that the FTS5 ``expression`` matches.
        """
        with self._explained():
            return self._catalogue.score_document_words(expression, passage_ids)

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

    # -- what it holds, source by source ---------------------------------------------------

    def held_sources(self) -> list[HeldSource]:
        """All sources in the order of their paths, with counts; reads no texts."""
        with self._explained():
            return self._contents.sources()

    def held_documents(self, path: str) -> Iterator[HeldDocument]:
        """The documents of the source ``path`` without their texts, as they were added."""
        with self._explained():
            yield from self._contents.document_list(path)

    def document_paths(self, document_id: str) -> list[str]:
        """The sources that have a document of this id, in the order of their paths."""
        with self._explained():
            return self._contents.paths_of(document_id)

    def some_document_ids(self, most: int) -> list[str]:
        """The ids of the first so many documents."""
        with self._explained():
            return self._contents.some_document_ids(most)

    def stored_documents(
        self, path: str, document_id: str | None = None
    ) -> Iterator[tuple[Document, list[tuple[int, int, int]]]]:
        """The documents of the source ``path``, or the one of this id, one at a time.

        With each of them its passages: their ids, and where they begin and end in its text.
        """
        with self._explained():
            for document_key in self._contents.document_keys(path, document_id):
                spans = self._contents.passage_spans(document_key)
                yield self._contents.document(document_key), spans

    def embedded_documents(self, path: str) -> Iterator[EmbeddedDocument]:
        """The documents of the source ``path``, passages and vectors included, one at a time.

        Raises ``IndexMismatchError`` when a passage lacks its vector.
        """
        with self._explained():
            for document_key in self._contents.document_keys(path):
                document = self._contents.document(document_key)
                passages, blobs = [], []
                for passage, blob in self._contents.passages(document_key):
                    passages.append(passage)
                    blobs.append(blob)
                yield document, passages, self._joined(document, blobs)

    def neighbourhood(self, passage_id: int, count: int) -> list[StoredPassage]:
        """A passage with up to ``count`` passages of its document before it and behind it.

        Empty when there is no such passage.
        """
        with self._explained():
            for document_key in self._catalogue.document_keys([passage_id]).values():
                ids = self._contents.passage_ids(document_key)
                at = ids.index(passage_id)
                return self._catalogue.passages(ids[max(at - count, 0) : at + count + 1])
        return []

    def _joined(self, document: Document, blobs: Sequence[bytes | None]) -> NDArray[np.float32]:
        """The vectors ``(n, dimension)`` of a document's passages."""
        import numpy as np

        dimension = self.fingerprint.dimension
        whole = [blob for blob in blobs if blob is not None and len(blob) == 4 * dimension]
        if len(whole) < len(blobs):
            raise IndexMismatchError(
                f"the index in {self.folder} is damaged: {document.document_id!r} lacks a vector",
                f'run "ragcli doctor --repair --index {self.folder}"',
            )
        vectors = np.frombuffer(b"".join(whole), dtype="<f4").astype(np.float32)
        return vectors.reshape(len(blobs), dimension)

    @property
    def _contents(self) -> Contents:
        return self._catalogue.contents

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self._staged or self.folder / CATALOGUE_NAME)

    # -- changes ---------------------------------------------------------------------------

    def replace_source(self, source: SourceState, documents: Sequence[EmbeddedDocument]) -> int:
        """Put ``documents`` in place of what the source held, all or nothing, until ``commit``.

        Returns the number of passages removed. Raises ``ValueError`` when vectors, passages and
        documents do not fit together.
        """
        check_unique(document.document_id for document, _, _ in documents)
        with self._changing():
            source_key = self.begin_source(source)
            put = [self.put_document(source_key, source, each) for each in documents]
            removed = sum(filter(None, put))
            return removed + self.finish_source(source_key, source)

    def begin_source(self, source: SourceState) -> int:
        """Begin to bring a source up to date, document by document; its key.

        Until ``finish_source`` the index says of the source that it is incomplete, also after a
        commit in between: it then holds documents of both versions, each whole.
        """
        with self._changing():
            return self._catalogue.begin_source(replace(source, content_hash=INCOMPLETE))

    def keep_document(self, source_key: int, document: Document) -> bool:
        """Whether the source begun last holds this very document; then it stays as it is."""
        with self._changing():
            held = self._catalogue.find_document(source_key, document.document_id)
            if held is None or held[1] != document:
                return False
            self._catalogue.meet(held[0])
            return True

    def put_document(
        self, source_key: int, source: SourceState, embedded: EmbeddedDocument
    ) -> int | None:
        """Put a document of the source begun last in place of the one with its id, if any.

        Returns the number of passages removed, ``None`` when there was no such document. Raises
        ``ValueError`` when vectors, passages and document do not fit together.
        """
        document, passages, vectors = embedded
        check_embedded(source, embedded, self.fingerprint.dimension)
        with self._changing():
            held = self._catalogue.find_document(source_key, document.document_id)
            removed = None if held is None else self._catalogue.remove_document(held[0])
            document_key = self._catalogue.add_document(source_key, document)
            self._catalogue.meet(document_key)
            for passage, vector in zip(passages, vectors.astype("<f4"), strict=True):
                self._catalogue.add_passage(document_key, document.title, passage, vector.tobytes())
            self._vectors.changed((removed or 0) + len(passages))
        return removed

    def finish_source(self, source_key: int, source: SourceState, *, whole: bool = True) -> int:
        """Note that every document of a source is in place; the number of passages removed.

        Removed are the documents neither put nor kept since it was begun, when those are its
        ``whole``.
        """
        with self._changing():
            removed = self._catalogue.drop_unmet(source_key) if whole else 0
            self._catalogue.update_source(source)
            self._vectors.changed(removed)
        return removed

    def vectors_of_texts(self, texts: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors ``(dimension,)`` that the index has for these text hashes (``text_hash``)."""
        import numpy as np

        with self._explained():
            found = {of_text: self._catalogue.vector_of_text(of_text) for of_text in set(texts)}
        return {
            of_text: np.frombuffer(blob, dtype="<f4").astype(np.float32)
            for of_text, blob in found.items()
            if blob is not None
        }

    def keep_vectors(self, texts: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep vectors ``(n, dimension)`` of texts whose document is not in place yet.

        So what was embedded of a long document survives a kill, and ``vectors_of_texts`` finds it.
        """
        with self._changing():
            for of_text, vector in zip(texts, vectors.astype("<f4"), strict=True):
                self._catalogue.keep_vector(of_text, vector.tobytes())

    def forget_kept_vectors(self) -> None:
        """Forget what ``keep_vectors`` kept, once every source is complete."""
        with self._explained():
            if not self._catalogue.keeps_needless_vectors():
                return  # nothing to write
        with self._changing():
            self._catalogue.forget_kept_vectors()

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
            self._vectors.changed(removed)
        return removed

    def remove_document(self, path: str, document_id: str) -> int | None:
        """Remove a document of the source ``path``; the number of passages removed.

        ``None`` when there is no such document. The source stays, also with no document left.
        """
        with self._changing():
            keys = self._contents.document_keys(path, document_id)
            removed = [self._catalogue.remove_document(document_key) for document_key in keys]
            self._vectors.changed(sum(removed))
        return sum(removed) if keys else None

    def prefer(self, name: str, value: str | None) -> None:
        """Keep a choice for this index, through rebuilds as well; ``None`` forgets it."""
        with self._changing():
            self._catalogue.prefer(name, value)

    def choose(self, index_type: str | None = None, recall: float | None = None) -> None:
        """Keep which type of index is wanted, and at which recall; ``None`` changes nothing.

        Takes effect when the index is closed, without any embedding. Raises ``UsageError`` as
        ``check_index_type`` and ``check_recall`` do.
        """
        chosen: dict[str, str | None] = {}
        if index_type is not None:
            kind = check_index_type(index_type, self.fingerprint.dimension)
            chosen[CHOICE] = None if kind == AUTO else kind
        if recall is not None:
            chosen[RECALL] = str(check_recall(recall))
        held = self.preferences()
        for name, value in chosen.items():
            if held.get(name) != value:
                self.prefer(name, value)

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
        if self._staged is None:
            with self._explained():
                self._vectors.committed(self._manifest)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        if self._lock is None:
            raise ValueError("the index was opened for reading")
        self._forget_derived()
        try:
            with self._explained(), self._catalogue.changing():
                yield
        except BaseException:
            if not self._catalogue.has_changes:  # a full disk took the earlier changes as well
                self._drop_changes()
            raise

    def _forget_derived(self) -> None:
        self._frequencies.clear()
        self._passage_count = None
        self._mean = None

    def _drop_changes(self) -> None:
        self._catalogue.roll_back()
        self._forget_derived()
        self._manifest = _manifest_of(self._catalogue)
        self._vectors.drop(self._manifest)

    def _release(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._vectors.drop(self._manifest)
        try:
            self._catalogue.close()
        finally:
            if self._lock is not None:
                self._lock.release()


def _prepare(folder: Path, catalogue: Catalogue, fingerprint: IndexFingerprint) -> Manifest:
    """The manifest of the catalogue to write, begun when it is new."""
    manifest = catalogue.manifest()
    if manifest is None:
        catalogue.start(fingerprint)
        catalogue.commit()
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
