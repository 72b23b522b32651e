from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from ragcli.attribution.ablations import (
    context_cite,
    each_removed,
    lasso,
    leave_one_out,
    random_ablations,
)


def test_ablations_keep_at_least_one_source() -> None:
    kept = random_ablations(2, 500, np.random.default_rng(0))
    assert kept.any(axis=1).all()
    assert 0.4 < random_ablations(10, 500, np.random.default_rng(0)).mean() < 0.6
    assert each_removed(3).tolist() == [
        [False, True, True],
        [True, False, True],
        [True, True, False],
    ]


def test_the_lasso_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    inputs = (rng.random((40, 8)) < 0.5).astype(float)
    outputs = inputs @ np.array([3.0, 0, 0, -1, 0, 0, 0.2, 0]) + rng.normal(0, 0.3, 40)
    for penalty in (0.001, 0.01, 0.1):
        expected = Lasso(alpha=penalty, tol=1e-9).fit(inputs, outputs).coef_
        assert lasso(inputs, outputs, penalty) == pytest.approx(expected, abs=1e-4)


def test_both_references_find_the_source_that_matters() -> None:
    rng = np.random.default_rng(1)
    kept = random_ablations(5, 64, rng)
    outcomes = -8.0 * ~kept[:, 3] + 0.1 * kept[:, 1] + rng.normal(0, 0.05, 64)
    cited = context_cite(kept, outcomes)
    assert int(cited.argmax()) == 3
    assert cited[3] == pytest.approx(8.0, abs=0.3)
    assert context_cite(kept, np.full(64, -2.0)).tolist() == [0.0] * 5
    without = np.array([-1.0, -1.0, -1.0, -9.0, -1.0])
    assert leave_one_out(-1.0, without).tolist() == [0, 0, 0, 8, 0]
