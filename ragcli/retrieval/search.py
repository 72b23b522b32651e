"""Query → ranked passages, by their vectors, by their words, or by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragcli.errors import UsageError
from ragcli.records import PartialScore, ScoredPassage, Scores
from ragcli.retrieval.dense import score_dense
from ragcli.retrieval.fusion import DEFAULT_FUSION, DENSE_WEIGHT, FUSIONS, fuse
from ragcli.retrieval.lexical import score_lexical
from ragcli.retrieval.variety import diversify, fold

if TYPE_CHECKING:
    from ragcli.encoder import Encoder
    from ragcli.store import Index

HYBRID, DENSE, LEXICAL = MODES = ("hybrid", "dense", "lexical")
DEPTH = 200
"""Passages of each retriever that are fused, and among which different ones are chosen."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """How passages are ranked.

    ``mode`` is one of ``MODES``, ``fusion`` one of ``FUSIONS``, ``dense_weight`` in [0, 1] the
    share of the dense score in the fused one; ``None`` leaves these two to what the index was tuned
    to (see ``retrieval.tuned``), else to the defaults. ``per_document`` is the most passages of one
    document, ``diversity`` in [0, 1] how much a passage that repeats a better one is put back.
    Raises ``UsageError`` for names that do not exist.
    """

    mode: str = HYBRID
    fusion: str | None = None
    dense_weight: float | None = None
    per_document: int | None = None
    diversity: float = 0.0

    def __post_init__(self) -> None:
        """Check the names."""
        for what, name, known in (
            ("mode", self.mode, MODES),
            ("fusion", self.fusion or DEFAULT_FUSION, tuple(FUSIONS)),
        ):
            if name not in known:
                raise UsageError(f"unknown {what} {name!r}", f"choose one of: {', '.join(known)}")

    @property
    def needs_encoder(self) -> bool:
        """Whether queries are encoded at all."""
        return self.mode != LEXICAL


DEFAULT_RANKING = Ranking()

_Found = dict[str, Scores]
"""What each retriever found for one query."""


def search_passages(
    index: Index,
    encoder: Encoder | None,
    queries: Sequence[str],
    k: int,
    ranking: Ranking,
    *,
    among: frozenset[int] | None = None,
    min_score: float | None = None,
) -> list[list[ScoredPassage]]:
    """Return for each query at most ``k`` hits, best first; equal scores stand by passage id.

    Hits whose score, as the mode computes it, lies below ``min_score`` are left out. ``encoder``
    may be ``None`` in lexical mode. ``among`` are the passages to choose from, by default all.
    """
    found, ranked = _rank(index, encoder, queries, k, ranking, among)
    kept = [[hit for hit in hits if min_score is None or hit[1] >= min_score] for hits in ranked]
    wanted = sorted({passage_id for hits in kept for passage_id, _ in hits})
    stored = {passage.passage_id: passage for passage in index.passages(wanted)}
    return [
        [
            ScoredPassage(stored[passage_id], score, rank, _parts(passage_id, partial))
            for rank, (passage_id, score) in enumerate(hits, start=1)
        ]
        for hits, partial in zip(kept, map(_partial_scores, found), strict=True)
    ]


def rank_passages(
    index: Index, encoder: Encoder | None, queries: Sequence[str], k: int, ranking: Ranking
) -> list[Scores]:
    """Ids and scores of what ``search_passages`` finds, without reading any text."""
    return _rank(index, encoder, queries, k, ranking, None)[1]


def _rank(  # noqa: PLR0917
    index: Index,
    encoder: Encoder | None,
    queries: Sequence[str],
    k: int,
    ranking: Ranking,
    among: frozenset[int] | None,
) -> tuple[list[_Found], list[Scores]]:
    """What the retrievers found, and the ``k`` best of it.

    Looks deeper until there are ``k``, or no more.
    """
    depth = max(k, DEPTH)
    while True:
        found = _retrieve(index, encoder, queries, depth, ranking, among)
        ranked = [_choose(index, _fuse(own, ranking), k, ranking) for own in found]
        may_be_more = any(
            len(hits) < k and any(len(scores) == depth for scores in own.values())
            for hits, own in zip(ranked, found, strict=True)
        )
        if not may_be_more:
            return found, ranked
        depth *= 4


def _retrieve(  # noqa: PLR0917
    index: Index,
    encoder: Encoder | None,
    queries: Sequence[str],
    depth: int,
    ranking: Ranking,
    among: frozenset[int] | None,
) -> list[_Found]:
    found: list[_Found] = [{} for _ in queries]
    if encoder is not None and ranking.needs_encoder:
        dense = score_dense(index, encoder, queries, depth, among)
        for own, scores in zip(found, dense, strict=True):
            own[DENSE] = scores
    if ranking.mode != DENSE:
        for own, query in zip(found, queries, strict=True):
            own[LEXICAL] = score_lexical(index, query, depth, among)
    return found


def _fuse(found: _Found, ranking: Ranking) -> Scores:
    """One ranking of what was found, best first; equal scores stand by passage id.

    Only the first ``DEPTH`` of each retriever are fused, so that a score does not depend on how
    many hits are asked for; what lies deeper follows with a score of 0.
    """
    if ranking.mode != HYBRID:
        return found[ranking.mode]
    dense, lexical = found[DENSE], found[LEXICAL]
    weight = DENSE_WEIGHT if ranking.dense_weight is None else ranking.dense_weight
    best = fuse(dense[:DEPTH], lexical[:DEPTH], ranking.fusion or DEFAULT_FUSION, weight)
    near = {key for key, _ in best}
    deeper = dict.fromkeys(key for key, _ in (*dense[DEPTH:], *lexical[DEPTH:]) if key not in near)
    return best + [(key, 0.0) for key in deeper]


def _choose(index: Index, ranked: Scores, k: int, ranking: Ranking) -> Scores:
    """The ``k`` best of a ranking, with the variety that is asked for."""
    if ranking.per_document is not None:
        documents = index.document_keys([passage_id for passage_id, _ in ranked])
        ranked = fold(ranked, documents, ranking.per_document)
    if ranking.diversity:
        ranked = ranked[: max(k, DEPTH)]
        vectors = index.vectors([passage_id for passage_id, _ in ranked])
        return diversify(ranked, vectors, k, ranking.diversity)
    return ranked[:k]


def _partial_scores(found: _Found) -> Mapping[str, Mapping[int, PartialScore]]:
    """What each retriever said of each passage."""
    return {
        retriever: {
            passage_id: PartialScore(retriever, score, rank)
            for rank, (passage_id, score) in enumerate(scores, start=1)
        }
        for retriever, scores in found.items()
    }


def _parts(
    passage_id: int, partial: Mapping[str, Mapping[int, PartialScore]]
) -> tuple[PartialScore, ...]:
    return tuple(own[passage_id] for own in partial.values() if passage_id in own)
