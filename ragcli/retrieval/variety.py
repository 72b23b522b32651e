"""Variety in a ranking: few passages of one document, and no passage that repeats another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragcli.records import Scores


def fold(ranked: Scores, documents: Mapping[int, int], per_document: int) -> Scores:
    """Keep the best ``per_document`` passages of each document, in their order.

    ``documents`` says for each passage id which document it is of.
    """
    seen: Counter[int] = Counter()
    kept = []
    for passage_id, score in ranked:
        seen[documents[passage_id]] += 1
        if seen[documents[passage_id]] <= per_document:
            kept.append((passage_id, score))
    return kept


def diversify(ranked: Scores, vectors: NDArray[np.float32], k: int, diversity: float) -> Scores:
    """Choose ``k`` passages by maximal marginal relevance (Carbonell & Goldstein 1998).

    The best comes first. Each next one has the greatest
    ``(1 - diversity) · score - diversity · cosine``, the cosine to the nearest one already chosen
    and the score normalised to [0, 1]. ``vectors (n, dimension)`` of unit length stand in the order
    of ``ranked``; scores are handed on as they were. https://doi.org/10.1145/290941.291025
    """
    if not ranked:
        return []
    normalised = min_max(ranked)
    relevance = np.array([normalised[passage_id] for passage_id, _ in ranked])
    chosen = [0]
    nearest = vectors @ vectors[0]
    left = np.ones(len(ranked), dtype=bool)
    left[0] = False
    while len(chosen) < min(k, len(ranked)):
        worth = (1 - diversity) * relevance - diversity * nearest
        best = int(np.where(left, worth, -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return [ranked[n] for n in chosen]


def min_max(scores: Scores) -> dict[int, float]:
    """Scores brought to [0, 1] by the least and the greatest of them; equal ones all give 1."""
    if not scores:
        return {}
    values = [score for _, score in scores]
    least, span = min(values), max(values) - min(values)
    return {key: (score - least) / span if span > 0 else 1.0 for key, score in scores}
