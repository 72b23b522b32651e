"""Documents on their way into the index: embedded together, written and committed together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragcli.engine.embedding import Embedder
from ragcli.engine.interrupts import GentleInterrupts
from ragcli.engine.progress import Meter
from ragcli.records import Document, Passage
from ragcli.store import Index, SourceState, text_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

BATCH_PASSAGES = 256
"""Passages embedded and committed together: what a kill can lose."""

BATCH_READY_PASSAGES = 2048
"""Passages committed together at most when the index has vectors for all of them."""

BATCH_SOURCES = 256
"""Sources committed together at most, however few passages they have."""


@dataclass(slots=True)
class Tally:
    """What was written so far; seconds by stage."""

    documents_added: int = 0
    documents_updated: int = 0
    passages_put: int = 0
    passages_embedded: int = 0
    embedding_seconds: float = 0.0
    writing_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Begin:
    source: SourceState


@dataclass(frozen=True, slots=True)
class _Put:
    """A document with its passages; ``texts[i]`` is the text hash of passage ``i``."""

    document: Document
    passages: Sequence[Passage]
    texts: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class _Finish:
    source: SourceState
    whole: bool


@dataclass(slots=True)
class _Batch:
    """What waits to be written, in order, and the vectors that it needs."""

    steps: list[_Begin | _Put | _Finish] = field(default_factory=list)
    vectors: dict[bytes, Vector] = field(default_factory=dict)
    missing: dict[bytes, tuple[Document, Passage]] = field(default_factory=dict)
    n_passages: int = 0
    n_finished: int = 0
    size: int = 0

    @property
    def is_full(self) -> bool:
        return (
            len(self.missing) >= BATCH_PASSAGES
            or self.n_passages >= BATCH_READY_PASSAGES
            or self.n_finished >= BATCH_SOURCES
        )


class Writer:
    """Writes documents in batches of about ``BATCH_PASSAGES`` new passages, in the order they came.

    A passage takes the vector that the index has for its text, if any; only others are embedded.
    """

    def __init__(
        self, index: Index, embedder: Embedder, meter: Meter, interrupts: GentleInterrupts
    ) -> None:
        self._index = index
        self._embedder = embedder
        self._interrupts = interrupts
        self.meter = meter
        self.tally = Tally()
        self._batch = _Batch()
        self._uncredited = 0  # bytes of the source in work that no document has stood for yet
        self._written: tuple[int, SourceState] | None = None  # the source that is being written

    def begin(self, source: SourceState) -> None:
        """Begin a source, whose documents come next; what is held of it stays until ``finish``."""
        self._uncredited = source.size
        self._batch.steps.append(_Begin(source))

    def put(self, document: Document, passages: Sequence[Passage]) -> None:
        """Take a document of the source in work; it is written with the batch it completes."""
        texts = [text_hash(document.title, p.heading, p.text) for p in passages]
        self._look_up(document, passages, texts)
        if len(self._batch.missing) > BATCH_PASSAGES and self._batch.steps:
            self._write_what_is_ready(texts)
            self._look_up(document, passages, texts)
        size = min(len(document.text), self._uncredited)
        if len(self._batch.missing) > BATCH_PASSAGES:
            self._embed_in_advance(size)
        self._uncredited -= size
        self._batch.size += size
        self._batch.steps.append(_Put(document, passages, texts))
        self._batch.n_passages += len(passages)
        if self._batch.is_full:
            self.flush()

    def finish(self, source: SourceState, *, whole: bool = True) -> None:
        """End the source in work; documents that it held and that did not come again are removed.

        Not when those that came are not its ``whole``.
        """
        self._batch.steps.append(_Finish(source, whole))
        self._end_source()

    def abandon(self) -> None:
        """Leave the source in work incomplete; the documents that came are written."""
        self._end_source()

    def _end_source(self) -> None:
        self._batch.size += self._uncredited
        self._batch.n_finished += 1
        if self._batch.is_full:
            self.flush()

    def flush(self) -> None:
        """Embed, write and commit all that waits."""
        if not self._batch.steps:
            return
        with self._interrupts.protected():
            self._embed(list(self._batch.missing), self._batch.size)
            self._write()

    def _look_up(
        self, document: Document, passages: Sequence[Passage], texts: Sequence[bytes]
    ) -> None:
        """Find the vectors that there are; note the passages that have to be embedded."""
        known = self._batch.vectors
        unknown = [text for text in texts if text not in known and text not in self._batch.missing]
        known.update(self._index.vectors_of_texts(unknown))
        for text, passage in zip(texts, passages, strict=True):
            if text not in known:
                self._batch.missing.setdefault(text, (document, passage))

    def _write_what_is_ready(self, later: Sequence[bytes]) -> None:
        """Flush what waits, without the texts of a document that is to follow."""
        needed = {
            text for step in self._batch.steps if isinstance(step, _Put) for text in step.texts
        }
        for text in later:
            if text not in needed:
                self._batch.missing.pop(text, None)
        self.flush()

    def _embed_in_advance(self, size: int) -> None:
        """Embed a long document batch by batch, and keep what a kill would lose otherwise.

        The document counts as ``size`` bytes.
        """
        import numpy as np

        total = len(self._batch.missing)
        while texts := list(self._batch.missing)[:BATCH_PASSAGES]:
            with self._interrupts.protected():
                self._embed(texts, size * (total - len(self._batch.missing) + len(texts)) // total)
                with self._timed_writing():
                    vectors = np.stack([self._batch.vectors[text] for text in texts])
                    self._index.keep_vectors(texts, vectors)
                    self._index.commit()

    def _embed(self, texts: Sequence[bytes], size: int) -> None:
        """Embed the passages of these texts, which are missing no more.

        With the last of them, ``size`` bytes of what waits are in work.
        """
        for start in range(0, len(texts), BATCH_PASSAGES):
            block = texts[start : start + BATCH_PASSAGES]
            started = time.monotonic()
            vectors = self._embedder.embed([self._batch.missing[text] for text in block])
            self.tally.embedding_seconds += time.monotonic() - started
            self.tally.passages_embedded += len(block)
            for text, vector in zip(block, vectors, strict=True):
                self._batch.vectors[text] = vector
                del self._batch.missing[text]
            self.meter.embedded(len(block), size * (start + len(block)) // len(texts))

    def _write(self) -> None:
        batch, self._batch = self._batch, _Batch()
        with self._timed_writing():
            for step in batch.steps:
                if isinstance(step, _Begin):
                    self._written = self._index.begin_source(step.source), step.source
                elif isinstance(step, _Put):
                    self._place(step, batch.vectors)
                elif self._written is not None:
                    source_key, _ = self._written
                    self._index.finish_source(source_key, step.source, whole=step.whole)
            self._index.commit()
        self.meter.done(batch.n_finished, batch.size)

    def _place(self, step: _Put, vectors: dict[bytes, Vector]) -> None:
        import numpy as np

        if self._written is None:
            raise ValueError("a document comes before its source has begun")
        source_key, source = self._written
        if self._index.keep_document(source_key, step.document):
            return
        dimension = self._index.fingerprint.dimension
        rows = np.array([vectors[text] for text in step.texts], dtype=np.float32)
        embedded = (step.document, step.passages, rows.reshape(len(step.texts), dimension))
        replaced = self._index.put_document(source_key, source, embedded)
        self.tally.documents_added += replaced is None
        self.tally.documents_updated += replaced is not None
        self.tally.passages_put += len(step.texts)

    @contextmanager
    def _timed_writing(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.tally.writing_seconds += time.monotonic() - started
