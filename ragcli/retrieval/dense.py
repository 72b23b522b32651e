"""Dense retrieval: the passages whose vectors lie nearest to the query's, by cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragcli.records import Passage, Scores

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


def score_dense(
    index: Index,
    encoder: Encoder,
    queries: Sequence[str],
    depth: int,
    among: frozenset[int] | None = None,
) -> list[Scores]:
    """Exact cosines of the best ``depth`` passages for each query, best first; ties by id."""
    return index.search(encoder.encode_queries(queries), depth, among) if queries else []
