"""Dense retrieval: the passages whose vectors lie nearest to the query's, by exact cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragcli.records import Passage, ScoredPassage, StoredPassage

if TYPE_CHECKING:
    from ragcli.encoder import Encoder
    from ragcli.store import Index

PREFIX_LIMIT = 160
"""Characters of title and headings put before a passage; more would push out its own words."""


def text_to_encode(title: str, passage: Passage) -> str:
    """Return what the encoder reads for ``passage``: where it stands, then its text.

    Title and heading path come first, a line each, so that "It lasts 14 days" is found under
    what "it" is. A part that the text opens with, or that the next part repeats, is left out.
    """
    text = passage.text.strip()
    opening = text.lstrip("#= \t")
    parts = [part for part in (title, passage.heading) if part and not opening.startswith(part)]
    if len(parts) > 1 and parts[1].startswith(title):
        del parts[0]
    prefix = "\n".join(parts)[:PREFIX_LIMIT]
    return f"{prefix}\n{text}" if prefix else text


def search_dense(
    index: Index,
    encoder: Encoder,
    queries: Sequence[str],
    k: int,
    min_score: float | None = None,
) -> list[list[ScoredPassage]]:
    """Return for each query at most ``k`` hits, best first; equal scores stand by passage id.

    Hits whose cosine lies below ``min_score`` are left out.
    """
    if not queries:
        return []
    found = index.search(encoder.encode_queries(queries), k)
    wanted = sorted({passage_id for hits in found for passage_id, _ in hits})
    stored = {passage.passage_id: passage for passage in index.passages(wanted)}
    return [_ranked(hits, stored, min_score) for hits in found]


def _ranked(
    hits: Sequence[tuple[int, float]],
    stored: dict[int, StoredPassage],
    min_score: float | None,
) -> list[ScoredPassage]:
    kept = [hit for hit in hits if min_score is None or hit[1] >= min_score]
    return [
        ScoredPassage(stored[passage_id], score, rank)
        for rank, (passage_id, score) in enumerate(kept, start=1)
    ]
