from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from ragcli.evaluation.attribution import largest, linear_datamodelling_score, ranks, spearman

_values = st.lists(st.integers(-3, 3), min_size=3, max_size=12)


@given(_values, st.integers(0, 1000))
def test_rank_correlation_is_that_of_scipy(values: list[int], seed: int) -> None:
    a = np.array(values, dtype=float)
    b = np.random.default_rng(seed).permutation(a)
    assert (ranks(a) == rankdata(a) - 1).all()
    expected = spearmanr(a, b).statistic if len(set(values)) > 1 else 0.0
    assert spearman(a, b) == pytest.approx(expected)


def test_additive_outcomes_are_fully_explained() -> None:
    rng = np.random.default_rng(0)
    kept = rng.random((64, 6)) < 0.5
    owed = rng.normal(size=6)
    assert linear_datamodelling_score(owed, kept, kept @ owed) == pytest.approx(1.0)
    assert linear_datamodelling_score(-owed, kept, kept @ owed) == pytest.approx(-1.0)
    assert abs(linear_datamodelling_score(rng.normal(size=6), kept, rng.normal(size=64))) < 0.5
    assert linear_datamodelling_score(np.zeros(6), kept, kept @ owed) == 0.0


def test_the_largest_stand_first() -> None:
    assert largest(np.array([0.2, 0.5, 0.2, 0.1]), 3) == [1, 0, 2]
