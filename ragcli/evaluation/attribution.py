"""How faithful an attribution is, measured against what the answer loses without its sources.

Shapes: S sources, K ablations. ``scores (S,)`` say how much of the answer is owed to each source,
in any unit; outcomes are log-probabilities of the answer (natural).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Values = NDArray[np.float64]


def spearman(a: Values, b: Values) -> float:
    """Spearman's rank correlation in [-1, 1]; 0 where one of the two is all the same."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)


def linear_datamodelling_score(scores: Values, kept: NDArray[np.bool_], outcomes: Values) -> float:
    """Rank correlation of the outcomes ``(K,)`` with the sums of the kept sources' scores.

    ``kept (K, S)`` (LDS, Park et al. 2023, https://arxiv.org/abs/2303.14186).
    """
    return spearman(kept @ scores, outcomes)


def largest(scores: Values, n: int) -> list[int]:
    """The ``n`` sources that the most is owed to, the largest first; equals in their order."""
    return [int(s) for s in np.argsort(-scores, kind="stable")[:n]]
