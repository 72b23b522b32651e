"""What an answer is owed to by taking sources away: exact effects, dear, and the measure of others.

A source is a passage or a sentence. Outcomes are log-probabilities of the answer (natural), of
which these functions know nothing but the numbers; nothing here runs a model.
Shapes: S sources, K ablations; ``kept (K, S)`` is true where a source stayed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KEEP = 0.5
"""Probability with which a source stays in a random ablation (Cohen-Wang et al. 2024)."""
PENALTY = 0.01
"""Weight of the sum of absolute coefficients in ``lasso``, of outcomes of unit variance."""
_ROUNDS = 200
_CLOSE = 1e-6

Masks = NDArray[np.bool_]
Values = NDArray[np.float64]


def each_removed(n_sources: int) -> Masks:
    """Return the S ablations that each take one source away."""
    return ~np.eye(n_sources, dtype=bool)


def random_ablations(n_sources: int, count: int, rng: np.random.Generator) -> Masks:
    """Draw ``count`` ablations, each source kept with probability ``KEEP``; none is empty."""
    kept = rng.random((count, n_sources)) < KEEP
    empty = ~kept.any(axis=1)
    kept[empty, rng.integers(n_sources, size=int(empty.sum()))] = True
    return kept


def leave_one_out(whole: float, without: Values) -> Values:
    """How much less likely the answer is without each source ``(S,)``."""
    effects: Values = whole - without
    return effects


def context_cite(kept: Masks, outcomes: Values) -> Values:
    """Coefficients ``(S,)`` of a sparse linear model of the outcomes (K,) of random ablations.

    ContextCite (Cohen-Wang et al. 2024, https://arxiv.org/abs/2409.00729). The outcomes are scaled
    to unit variance first; where all are the same, nothing is owed to any source.
    """
    deviation = float(outcomes.std())
    if deviation < _CLOSE:
        return np.zeros(kept.shape[1])
    return lasso(kept.astype(np.float64), (outcomes - outcomes.mean()) / deviation) * deviation


def lasso(inputs: Values, outputs: Values, penalty: float = PENALTY) -> Values:
    """Least squares with a penalty on absolute coefficients, ``(S,)``; an intercept is free.

    ``inputs (K, S)``, ``outputs (K,)``; coordinate descent (Friedman et al. 2010,
    https://doi.org/10.18637/jss.v033.i01) on half the mean squared error.
    """
    x = inputs - inputs.mean(axis=0)
    y = outputs - outputs.mean()
    squares = (x**2).mean(axis=0)
    w = np.zeros(x.shape[1])
    residual = y.copy()
    for _ in range(_ROUNDS):
        largest = 0.0
        for s in np.flatnonzero(squares > _CLOSE):
            before = w[s]
            fit = float(x[:, s] @ residual) / len(y) + squares[s] * before
            w[s] = np.sign(fit) * max(abs(fit) - penalty, 0.0) / squares[s]
            residual += x[:, s] * (before - w[s])
            largest = max(largest, abs(w[s] - before))
        if largest < _CLOSE:
            break
    return w
