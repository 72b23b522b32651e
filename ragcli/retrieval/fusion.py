"""Fusion: one ranking out of a dense and a lexical one.

Cosine and BM25 have no common scale. Either their scores are brought to one and averaged, or only
the ranks count (reciprocal rank fusion, Cormack et al. 2009,
https://doi.org/10.1145/1571941.1572114).

A score is brought to [0, 1] by the least that it can be expected to be, not by the least that was
found, which depends on how many were looked for (Bruch et al. 2022,
https://arxiv.org/abs/2210.11934). BM25 of a passage without any of the words is 0. The cosine of a
passage that has nothing to do with the query is taken to be that of the average passage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ragcli.records import Scores

DEFAULT_FUSION = "mean"
DENSE_WEIGHT = 0.5
"""Share of the dense score in the fused one: both count alike."""
RRF_K = 60
"""Constant of reciprocal rank fusion: the greater, the less the first ranks stand out."""

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Sides:
    """What the two retrievers say of one query's passages, best first.

    ``dense`` and ``lexical`` are what each found, ``added`` the cosines of passages that only the
    words found. ``floor`` is the cosine of a passage that has nothing to do with the query.
    """

    dense: Scores
    lexical: Scores
    added: Scores = field(default_factory=list)
    floor: float = 0.0


def normalise(scores: Sequence[tuple[int, float]], floor: float = 0.0) -> dict[int, float]:
    """Scores brought to [0, 1]: ``floor`` and what lies below it gives 0, the greatest 1.

    Where the greatest is the floor itself, as in an index of one passage, it gives 1.
    """
    if not scores:
        return {}
    greatest = max(score for _, score in scores)
    span = greatest - floor
    if abs(span) <= _ROUNDING:
        return {key: float(score >= greatest - _ROUNDING) for key, score in scores}
    if span < 0:
        return dict.fromkeys((key for key, _ in scores), 0.0)
    return {key: max((score - floor) / span, 0.0) for key, score in scores}


def weighted_mean(sides: Sides, weight: float = DENSE_WEIGHT) -> dict[int, float]:
    """Mean of the two normalised scores, in [0, 1]; ``weight`` in [0, 1] is the dense one's.

    A passage that only one of them scored has 0 from the other.
    """
    dense = normalise([*sides.dense, *sides.added], sides.floor)
    return weighted_sum((dense, weight), (normalise(sides.lexical), 1.0 - weight))


def rank_fusion(sides: Sides, weight: float = DENSE_WEIGHT) -> dict[int, float]:
    """Weighted sum of ``1 / (60 + rank)`` over those that found a passage, scaled to [0, 1].

    1 is the score of a passage that both rank first.
    """
    by_rank = [
        {key: (RRF_K + 1) / (RRF_K + rank) for rank, (key, _) in enumerate(scores, start=1)}
        for scores in (sides.dense, sides.lexical)
    ]
    return weighted_sum((by_rank[0], weight), (by_rank[1], 1.0 - weight))


def weighted_sum(*weighted: tuple[Mapping[int, float], float]) -> dict[int, float]:
    """Sum of scores, each times its weight; a passage without a score has 0."""
    fused: dict[int, float] = {}
    for scores, weight in weighted:
        for key, score in scores.items():
            fused[key] = fused.get(key, 0.0) + weight * score
    return fused


FUSIONS: Mapping[str, Callable[[Sides, float], dict[int, float]]] = {
    "mean": weighted_mean,
    "rrf": rank_fusion,
}
"""The ways to fuse, by name."""


def fuse(sides: Sides, fusion: str, weight: float) -> Scores:
    """Fuse by one of ``FUSIONS``, best first.

    Equal scores stand by cosine, so that what lies below the floor keeps an order, then by id.
    """
    fused = FUSIONS[fusion](sides, weight)
    cosines = dict((*sides.dense, *sides.added))
    return sorted(fused.items(), key=lambda item: (-item[1], -cosines.get(item[0], -1.0), item[0]))


def best_first(scores: Mapping[int, float]) -> Scores:
    """Scores as a ranking; equal ones stand by passage id."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
