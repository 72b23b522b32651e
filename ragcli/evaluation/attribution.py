"""How faithful an attribution is, measured against what the answer loses without its sources.

Shapes: S sources, K ablations. ``scores (S,)`` say how much of the answer is owed to each source,
in any unit; outcomes are log-probabilities of the answer (natural).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def ranks(values: Values) -> Values:
    """Ranks from 0 of the least ``(n,)``; equal values share the mean of theirs."""
    order = np.argsort(values, kind="stable")
    placed = np.empty(len(values))
    placed[order] = np.arange(len(values))
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean: Values = np.bincount(group, weights=placed) / counts
    return mean[group]


def spearman(a: Values, b: Values) -> float:
    """Spearman's rank correlation in [-1, 1]; 0 where one of the two is all the same."""
    x, y = ranks(a), ranks(b)
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


def linear_datamodelling_score(scores: Values, kept: NDArray[np.bool_], outcomes: Values) -> float:
    """Rank correlation of the outcomes ``(K,)`` with the sums of the kept sources' scores.

    ``kept (K, S)`` (LDS, Park et al. 2023, https://arxiv.org/abs/2303.14186).
    """
    return spearman(kept @ scores, outcomes)


def largest(scores: Values, n: int) -> list[int]:
    """The ``n`` sources that the most is owed to, the largest first; equals in their order."""
    return [int(s) for s in np.argsort(-scores, kind="stable")[:n]]
