"""Choosing among settings: a clear gain is taken, luck is not."""

from __future__ import annotations

import numpy as np
import pytest

from ragcli.evaluation.ranking import paired_p_value
from ragcli.evaluation.tuning import best_setting, choose_setting, hold_out, least_depth


def _noise(seed: int, *, n_settings: int = 400, n_queries: int = 40) -> np.ndarray:
    """Settings that are equally good: each is a little luckier than others on some queries."""
    rng = np.random.default_rng(seed)
    common = rng.random(n_queries)
    return np.clip(common + rng.normal(0, 0.1, (n_settings, n_queries)), 0, 1)


def test_of_equals_the_preferred_one_is_the_best() -> None:
    assert best_setting(np.array([[0.5, 0.5], [1.0, 0.4], [0.4, 1.0]])) == 1
    assert best_setting(np.ones((3, 4))) == 0


def test_what_cannot_be_told_from_the_best_loses_to_the_default() -> None:
    values = np.array([[0.5, 0.6, 0.5, 0.6], [0.6, 0.5, 0.7, 0.6]])
    assert best_setting(values) == 1
    assert choose_setting(values) == 0
    assert choose_setting(np.array([[0.5, 0.5, 0.5, 0.5], [0.9, 0.8, 0.9, 1.0]])) == 1
    assert choose_setting(np.array([[0.5], [0.6]])) == 1, "one query has no standard error"


def test_luck_among_many_settings_is_no_gain_though_the_best_looks_like_one() -> None:
    worlds = [_noise(seed) for seed in range(12)]
    looks_better = [
        paired_p_value(values[best_setting(values)].tolist(), values[0].tolist()) < 0.05
        for values in worlds
    ]
    assert sum(looks_better) > 3
    assert sum(hold_out(values).is_gain for values in worlds) <= 1


def test_a_setting_that_is_better_on_most_queries_is_a_gain() -> None:
    values = _noise(3)
    values[0] *= 0.7
    values[17] = np.minimum(values[17] + 0.3, 1)
    held_out = hold_out(values)
    assert held_out.is_gain
    assert held_out.chosen == pytest.approx(values[17].mean())
    assert held_out.default == pytest.approx(values[0].mean())
    assert 0 < held_out.interval[0] < held_out.chosen - held_out.default < held_out.interval[1]
    assert hold_out(values) == held_out, "the same input gives the same output"


def test_no_query_has_a_say_in_what_it_is_measured_with() -> None:
    """One query out of 20 speaks for setting 1; where it is held out the default is chosen."""
    values = np.full((2, 20), 0.5)
    values[1, 4] = 1.0
    held_out = hold_out(values)
    assert held_out.chosen == held_out.default == 0.5
    assert not held_out.is_gain


def test_a_loss_is_no_gain_however_sure() -> None:
    values = np.vstack([np.full(30, 0.8), np.full(30, 0.2)])
    assert not hold_out(values).is_gain


@pytest.mark.parametrize("n", [1, 2, 7])
def test_very_few_queries_can_be_held_out(n: int) -> None:
    assert hold_out(np.ones((3, n))).chosen == 1.0


def test_the_least_depth_reaches_the_share_and_the_floor() -> None:
    success = [0.5, 0.8, 0.89, 0.895, 0.9]
    assert least_depth(success, 0.99, 1) == 4
    assert least_depth(success, 1.0, 1) == 5
    assert least_depth(success, 0.5, 1) == 1
    assert least_depth(success, 0.5, 3) == 3
