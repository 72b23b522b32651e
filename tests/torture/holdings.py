"""What an index holds, whole: to be compared with what it held before, and with a quiet build."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragcli.records import Document, Passage
from ragcli.store import DAMAGED, Index, check_folder, check_surroundings

MOST_ROUNDING = 0.02
"""How far apart two vectors (of length 1) of one text may be: where the processor multiplies in
bfloat16, passages that are embedded in other company are rounded apart. Other texts are farther."""


@dataclass(frozen=True)
class HeldDocument:
    """A document with its passages and their vectors ``(n_passages, dimension)``."""

    document: Document
    passages: tuple[Passage, ...]
    vectors: NDArray[np.float32]

    def is_like(self, other: HeldDocument | None) -> bool:
        """Whether text, offsets, metadata and vectors are the same, the latter up to rounding."""
        return (
            other is not None
            and self.document == other.document
            and self.passages == other.passages
            and bool(np.all(np.linalg.norm(self.vectors - other.vectors, axis=1) < MOST_ROUNDING))
        )


Held = Mapping[tuple[str, str], HeldDocument]
"""Documents by stored path and id."""


def held_in(folder: Path) -> Held:
    """All that the index in ``folder`` holds."""
    with Index.open(folder) as index:
        return {
            (source.path, document.document_id): HeldDocument(
                replace(document, metadata=dict(document.metadata)), tuple(passages), vectors
            )
            for source in index.sources()
            for document, passages, vectors in index.embedded_documents(source.path)
        }


def flaws(folder: Path) -> Iterator[str]:
    """What ``doctor`` finds damaged, and what a search does not find though it is there."""
    for finding in (*check_folder(folder), *check_surroundings(folder)):
        if finding.state == DAMAGED:
            yield f"doctor: {finding}"
    with Index.open(folder) as index:
        for source in index.sources():
            for document, passages, vectors in index.embedded_documents(source.path):
                if not passages:
                    continue
                nearest = index.search(vectors[:1], 1)[0]
                if not nearest or nearest[0][1] < 1 - MOST_ROUNDING:
                    yield f"search: {document.document_id} is not its own neighbour: {nearest}"
                word = re.findall(r"\w{4,}", passages[0].text)[0]
                if not index.search_words(f'"{word}"', 1):
                    yield f"search: the word {word!r} is not found"


def losses(held: Held, before: Held, after: Held) -> Iterator[str]:
    """What was lost, or is neither what there was before nor what there is to be."""
    for key, document in held.items():
        if not (document.is_like(before.get(key)) or document.is_like(after.get(key))):
            yield f"{key}: neither as before nor as it should be"
    for key in before.keys() & after.keys():
        if key not in held:
            yield f"{key}: lost"


def differences(held: Held, wanted: Held) -> Iterator[str]:
    """Where an index differs from a quiet build."""
    for key in sorted(held.keys() | wanted.keys()):
        if key not in wanted:
            yield f"{key}: should not be there"
        elif not wanted[key].is_like(held.get(key)):
            yield f"{key}: {'differs' if key in held else 'missing'}"
