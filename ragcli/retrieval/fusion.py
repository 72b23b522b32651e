"""Fusion: one ranking out of a dense and a lexical one.

Cosine and BM25 have no common scale. Either their scores are brought to one and averaged, or only
the ranks count (reciprocal rank fusion, Cormack et al. 2009,
https://doi.org/10.1145/1571941.1572114).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ragcli.records import Scores

DEFAULT_FUSION = "mean"
DENSE_WEIGHT = 0.5
"""Share of the dense score in the fused one: both count alike."""
RRF_K = 60
"""Constant of reciprocal rank fusion: the greater, the less the first ranks stand out."""


def min_max(scores: Scores) -> dict[int, float]:
    """Scores brought to [0, 1] by the least and the greatest of them; equal ones all give 1."""
    if not scores:
        return {}
    values = [score for _, score in scores]
    least, span = min(values), max(values) - min(values)
    return {key: (score - least) / span if span > 0 else 1.0 for key, score in scores}


def weighted_mean(dense: Scores, lexical: Scores, weight: float = DENSE_WEIGHT) -> dict[int, float]:
    """Mean of the two normalised scores, in [0, 1]; ``weight`` in [0, 1] is the dense one's.

    A passage that only one of them found has 0 from the other.
    """
    return _sum((min_max(dense), weight), (min_max(lexical), 1.0 - weight))


def rank_fusion(dense: Scores, lexical: Scores, weight: float = DENSE_WEIGHT) -> dict[int, float]:
    """Weighted sum of ``1 / (60 + rank)`` over those that found a passage, scaled to [0, 1].

    1 is the score of a passage that both rank first.
    """
    by_rank = [
        {key: (RRF_K + 1) / (RRF_K + rank) for rank, (key, _) in enumerate(scores, start=1)}
        for scores in (dense, lexical)
    ]
    return _sum((by_rank[0], weight), (by_rank[1], 1.0 - weight))


def _sum(*weighted: tuple[Mapping[int, float], float]) -> dict[int, float]:
    fused: dict[int, float] = {}
    for scores, weight in weighted:
        for key, score in scores.items():
            fused[key] = fused.get(key, 0.0) + weight * score
    return fused


FUSIONS: Mapping[str, Callable[[Scores, Scores, float], dict[int, float]]] = {
    "mean": weighted_mean,
    "rrf": rank_fusion,
}
"""The ways to fuse, by name."""


def fuse(dense: Scores, lexical: Scores, fusion: str, weight: float) -> Scores:
    """Fuse by one of ``FUSIONS``, best first; equal scores stand by passage id."""
    fused = FUSIONS[fusion](dense, lexical, weight)
    return sorted(fused.items(), key=lambda item: (-item[1], item[0]))
