"""Measures of a ranking against judgements, named and defined as in trec_eval and ir_measures.

A query's ranking is a list of document ids, best first; its judgements map ids to grades, of which
1 and above are relevant. All measures are in [0, 1].
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

Grades = Mapping[str, int]
"""Document id -> grade; 0 and less are not relevant."""
Qrels = Mapping[str, Grades]
"""Query id -> its judgements."""
Run = Mapping[str, Sequence[str]]
"""Query id -> document ids, best first, each once."""

DEFAULT_MEASURES = ("nDCG@10", "R@5", "R@20", "R@100", "RR@10", "Success@1", "Success@5")
_MEASURE = re.compile(r"(nDCG|R|RR|Success)@([1-9][0-9]*)")


def ndcg(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """Discounted cumulative gain of the first ``k`` over that of the best possible ranking.

    A document of grade g at rank r gains g / log2(r + 1) (Järvelin & Kekäläinen 2002).
    """
    gains = (max(grades.get(document, 0), 0) for document in ranked[:k])
    best = sorted((max(grade, 0) for grade in grades.values()), reverse=True)[:k]
    ideal = _discounted(best)
    return _discounted(gains) / ideal if ideal else 0.0


def _discounted(gains: Iterable[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def recall(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """Share of the relevant documents that stand among the first ``k``."""
    relevant = _relevant(grades)
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """1 / rank of the first relevant document among the first ``k``, 0 if there is none."""
    relevant = _relevant(grades)
    ranks = (rank for rank, name in enumerate(ranked[:k], start=1) if name in relevant)
    return 1 / next(ranks, math.inf)


def success(ranked: Sequence[str], grades: Grades, k: int) -> float:
    """1 if a relevant document stands among the first ``k``, else 0."""
    return float(not _relevant(grades).isdisjoint(ranked[:k]))


def _relevant(grades: Grades) -> set[str]:
    return {name for name, grade in grades.items() if grade > 0}


_BY_NAME: dict[str, Callable[[Sequence[str], Grades, int], float]] = {
    "nDCG": ndcg,
    "R": recall,
    "RR": reciprocal_rank,
    "Success": success,
}


def evaluate_run(
    run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES
) -> dict[str, dict[str, float]]:
    """Each measure of each judged query, ``{measure: {query id: value}}``.

    A judged query that the run lacks has 0. Raises ``ValueError`` for an unknown measure.
    """
    values: dict[str, dict[str, float]] = {}
    for name in measures:
        found = _MEASURE.fullmatch(name)
        if found is None:
            raise ValueError(f"unknown measure {name!r}")
        measure, k = _BY_NAME[found[1]], int(found[2])
        values[name] = {
            query: measure(run.get(query, ()), grades, k) for query, grades in qrels.items()
        }
    return values


def confidence_interval(
    values: Sequence[float], level: float = 0.95, n_samples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Interval of the mean by the percentile bootstrap over queries (Sakai 2006)."""
    given = np.asarray(values, dtype=np.float64)
    if not given.size:
        return 0.0, 0.0
    rng = np.random.default_rng(seed)
    means = np.array([rng.choice(given, given.size).mean() for _ in range(n_samples)])
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def paired_p_value(
    first: Sequence[float], second: Sequence[float], n_samples: int = 10_000, seed: int = 0
) -> float:
    """Probability of so great a mean difference, either way, if both systems were equally good.

    Fisher's randomisation test: the signs of the per-query differences are flipped at random
    (Smucker, Allan & Carterette 2007, https://doi.org/10.1145/1321440.1321528).
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if not differences.size:
        return 1.0
    observed = abs(differences.mean())
    rng = np.random.default_rng(seed)
    extreme = 0
    for _ in range(n_samples):
        signs = rng.integers(2, size=differences.size) * 2 - 1
        extreme += abs((signs * differences).mean()) >= observed - 1e-12
    return (extreme + 1) / (n_samples + 1)
