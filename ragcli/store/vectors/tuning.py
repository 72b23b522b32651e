"""How broadly an approximate index has to search to find what exact search finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragcli.records import Scores
    from ragcli.store.vectors.approximate import ApproximateVectors
    from ragcli.store.vectors.derivation import Derivation
    from ragcli.store.vectors.stored import StoredVectors

RECALL_DEPTH = 10
"""Recall is measured among so many best passages."""

_QUERIES = 300
_MIXED = 8  # passages in a query: a little harder to search for than questions, see docs/scaling.md
_SETTING_STEPS = 8  # a setting is found to within 1/8 of itself
_SEED = 0


def tune(
    index: ApproximateVectors, ids: NDArray[np.int64], stored: StoredVectors, recall: float
) -> Derivation:
    """The derivation of ``index`` with the least setting that reaches ``recall``.

    Measured on queries mixed of stored vectors, which are left out of their own results. The
    greatest setting when none reaches it.
    """
    sample = _Sample(ids, stored)
    measured: dict[int, float] = {}

    def reaches(setting: int) -> bool:
        measured[setting] = sample.recall(index, setting)
        return measured[setting] >= recall

    most = index.most_breadth
    low, high = 0, 1
    while not reaches(high) and high < most:
        low, high = high, min(2 * high, most)
    while measured[high] >= recall and high - low > max(1, high // _SETTING_STEPS):
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return replace(
        index.derivation,
        requested_recall=recall,
        measured_recall=round(measured[high], 4),
        parameter=index.parameter,
        setting=high if index.parameter else None,
    )


class _Sample:
    """Queries mixed of stored vectors, and how well the best passages of each score.

    A question lies further from every passage than passages lie from each other, and its nearest
    ones are more scattered: a stored vector as query would promise too much.
    """

    def __init__(self, ids: NDArray[np.int64], stored: StoredVectors) -> None:
        random = np.random.default_rng(_SEED)
        drawn = random.choice(np.sort(ids), (min(_QUERIES, len(ids)), _MIXED))
        held, rows = stored.rows(drawn.ravel())
        mixed = rows[np.searchsorted(held, drawn)].sum(axis=1)  # (n, 8, dimension) before the sum
        lengths = np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
        self._queries = (mixed / lengths).astype(np.float32)
        self._own = [frozenset(row.tolist()) for row in drawn]
        self._best = [
            [score for _, score in hits]
            for hits in self._without_own(stored.search(self._queries, self._asked))
        ]

    @property
    def _asked(self) -> int:
        return RECALL_DEPTH + _MIXED

    def recall(self, index: ApproximateVectors, setting: int) -> float:
        """Share of the best passages found, averaged over the queries; equal scores are as good."""
        found = self._without_own(index.search_at(setting, self._queries, self._asked))
        shares = [
            sum(score >= best[-1] for _, score in hits) / len(best) if best else 1.0
            for hits, best in zip(found, self._best, strict=True)
        ]
        return float(np.mean(shares))

    def _without_own(self, results: list[Scores]) -> list[Scores]:
        return [
            [hit for hit in hits if hit[0] not in own][:RECALL_DEPTH]
            for hits, own in zip(results, self._own, strict=True)
        ]
