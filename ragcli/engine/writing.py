"""Changed sources, collected across files, embedded together and committed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragcli.engine.embedding import Embedder
from ragcli.engine.progress import Meter
from ragcli.records import Document, Passage
from ragcli.store import Index, SourceState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH_PASSAGES = 256
"""Passages embedded and committed together: what a kill can lose."""

BATCH_SOURCES = 256
"""Sources committed together at most, however few passages they have."""


@dataclass(frozen=True, slots=True)
class Change:
    """A source to put into the index with all its documents."""

    source: SourceState
    documents: Sequence[Document]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A change whose documents are cut into passages; ``passages[i]`` are of document ``i``."""

    change: Change
    passages: Sequence[Sequence[Passage]]

    def pairs(self) -> list[tuple[Document, Passage]]:
        documents = zip(self.change.documents, self.passages, strict=True)
        return [(document, passage) for document, own in documents for passage in own]


class Writer:
    """Writes changes in batches of about ``BATCH_PASSAGES`` passages, in the order they came."""

    def __init__(self, index: Index, embedder: Embedder, meter: Meter) -> None:
        self._index = index
        self._embedder = embedder
        self.meter = meter
        self._waiting: list[_Waiting] = []
        self._n_passages = 0

    def add(self, change: Change) -> None:
        """Take a change; it is written with the batch it completes, or by ``flush``."""
        passages = [self._embedder.split(document) for document in change.documents]
        self._waiting.append(_Waiting(change, passages))
        self._n_passages += sum(map(len, passages))
        if self._n_passages >= BATCH_PASSAGES or len(self._waiting) >= BATCH_SOURCES:
            self.flush()

    def flush(self) -> None:
        """Embed, write and commit all that waits."""
        if not self._waiting:
            return
        size = sum(waiting.change.source.size for waiting in self._waiting)
        vectors = self._embed(size)
        first = 0
        for waiting in self._waiting:
            last = first + sum(map(len, waiting.passages))
            self._write(waiting, vectors[first:last])
            first = last
        self._index.commit()
        self.meter.done(len(self._waiting), size)
        self._waiting, self._n_passages = [], 0

    def _embed(self, size: int) -> NDArray[np.float32]:
        """Embed every waiting passage ``(n_passages, dimension)``; ``size`` is their files'."""
        import numpy as np

        pairs = [pair for waiting in self._waiting for pair in waiting.pairs()]
        blocks = [np.empty((0, self._index.fingerprint.dimension), dtype=np.float32)]
        for start in range(0, len(pairs), BATCH_PASSAGES):
            blocks.append(self._embedder.embed(pairs[start : start + BATCH_PASSAGES]))
            done = start + len(blocks[-1])
            self.meter.embedded(len(blocks[-1]), size * done // len(pairs))
        return np.concatenate(blocks)

    def _write(self, waiting: _Waiting, vectors: NDArray[np.float32]) -> None:
        embedded = []
        first = 0
        for document, passages in zip(waiting.change.documents, waiting.passages, strict=True):
            last = first + len(passages)
            embedded.append((document, passages, vectors[first:last]))
            first = last
        self._index.replace_source(waiting.change.source, embedded)
