"""Query → ranked passages, by their vectors, by their words, or by both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ragcli.records import ScoredPassage, Scores
from ragcli.retrieval.dense import score_dense
from ragcli.retrieval.hybrid import DEPTH, HybridSearch, Trail
from ragcli.retrieval.lexical import score_lexical
from ragcli.retrieval.models import needed
from ragcli.retrieval.ranking import DENSE, HYBRID, LEXICAL, Ranking
from ragcli.retrieval.variety import diversify, fold

if TYPE_CHECKING:
    from ragcli.retrieval.models import Models
    from ragcli.store import Index


def search_passages(
    index: Index,
    models: Models,
    queries: Sequence[str],
    k: int,
    ranking: Ranking,
    *,
    among: frozenset[int] | None = None,
    min_score: float | None = None,
) -> list[list[ScoredPassage]]:
    """Return for each query at most ``k`` hits, best first; equal scores stand by passage id.

    Hits whose score, as the mode computes it, lies below ``min_score`` are left out. ``among``
    are the passages to choose from, by default all. Raises ``ValueError`` when ``models`` lacks one
    that ``ranking`` needs.
    """
    results = []
    for trail, hits in _rank(index, models, queries, k, ranking, among):
        kept = [hit for hit in hits if min_score is None or hit[1] >= min_score]
        ids = [passage_id for passage_id, _ in kept]
        parts = trail.parts(ids)
        results.append(
            [
                ScoredPassage(stored, score, rank, parts[passage_id])
                for rank, (stored, (passage_id, score)) in enumerate(
                    zip(index.passages(ids), kept, strict=True), start=1
                )
            ]
        )
    return results


def rank_passages(
    index: Index, models: Models, queries: Sequence[str], k: int, ranking: Ranking
) -> list[Scores]:
    """Ids and scores of what ``search_passages`` finds, without reading any text."""
    return [hits for _, hits in _rank(index, models, queries, k, ranking, None)]


def _rank(  # noqa: PLR0917
    index: Index,
    models: Models,
    queries: Sequence[str],
    k: int,
    ranking: Ranking,
    among: frozenset[int] | None,
) -> list[tuple[Trail, Scores]]:
    """What the stages said of each query's passages, and the ``k`` best of them.

    Looks deeper until there are ``k``, or no more.
    """
    if not queries:
        return []
    retrieve = _retriever(index, models, queries, ranking, among)
    depth = max(k, DEPTH)
    while True:
        found = retrieve(depth)
        chosen = [(trail, _choose(index, ranked, k, ranking)) for trail, ranked in found]
        may_be_more = any(
            len(hits) < k and len(ranked) >= depth
            for (_, hits), (_, ranked) in zip(chosen, found, strict=True)
        )
        if not may_be_more:
            return chosen
        depth *= 4


def _retriever(
    index: Index,
    models: Models,
    queries: Sequence[str],
    ranking: Ranking,
    among: frozenset[int] | None,
) -> Callable[[int], list[tuple[Trail, Scores]]]:
    """Something that ranks the queries' passages to a given depth."""
    if ranking.mode == HYBRID:
        return HybridSearch(index, models, queries, ranking, among).rank

    def alone(depth: int) -> list[tuple[Trail, Scores]]:
        if ranking.mode == LEXICAL:
            name, found = LEXICAL, [score_lexical(index, q, depth, among) for q in queries]
        else:
            encoder = needed(models.encoder, "an encoder")
            name, found = DENSE, score_dense(index, encoder, queries, depth, among)
        return [(Trail({name: scores}, {name: len(scores)}), scores) for scores in found]

    return alone


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
