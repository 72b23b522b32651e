from __future__ import annotations

import numpy as np
import pytest

from ragcli.evaluation.attribution import largest, linear_datamodelling_score, spearman


def test_rank_correlation_looks_at_order_alone_and_is_0_where_there_is_none() -> None:
    a = np.array([0.1, 0.5, 0.2, 9.0])
    assert spearman(a, np.exp(a)) == pytest.approx(1.0)
    assert spearman(a, -a) == pytest.approx(-1.0)
    assert spearman(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])) == (
        pytest.approx(0.9487, abs=1e-4)
    )
    assert spearman(a, np.ones(4)) == spearman(np.zeros(4), a) == 0.0


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
