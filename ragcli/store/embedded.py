"""Documents with their passages and vectors, and whether these fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragcli.records import Document, Passage
from ragcli.store.manifest import SourceState

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

EmbeddedDocument = tuple[Document, Sequence[Passage], "NDArray[np.float32]"]
"""A document, its passages, and their vectors ``(n_passages, dimension)`` of unit length."""


def check_unique(document_ids: Iterable[str]) -> None:
    """Raise ``ValueError`` when two documents of a source have one id."""
    repeated = [name for name, count in Counter(document_ids).items() if count > 1]
    if repeated:
        raise ValueError(f"document {repeated[0]!r} is given twice")


def check_embedded(source: SourceState, embedded: EmbeddedDocument, dimension: int) -> None:
    """Raise ``ValueError`` unless vectors ``(n_passages, dimension)``, passages and source fit."""
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
