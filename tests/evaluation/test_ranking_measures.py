"""Measures of a ranking: by hand, and against ir_measures on rankings of all kinds."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.evaluation.ranking import (
    DEFAULT_MEASURES,
    confidence_interval,
    evaluate_run,
    paired_p_value,
)

DOCUMENTS = [f"d{n}" for n in range(30)]
GRADES = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 3), min_size=1)
RANKED = st.lists(st.sampled_from(DOCUMENTS), unique=True, min_size=1)
MEASURES = [*DEFAULT_MEASURES, "nDCG@3", "RR@2", "R@1"]


def test_an_example_by_hand() -> None:
    grades = {"a": 2, "b": 1, "c": 0, "d": 1}
    values = evaluate_run({"q": ["c", "b", "a"]}, {"q": grades}, ["nDCG@3", "R@2", "RR@10"])
    gained = 1 / np.log2(3) + 2 / np.log2(4)
    ideal = 2 / np.log2(2) + 1 / np.log2(3) + 1 / np.log2(4)
    assert values["nDCG@3"]["q"] == pytest.approx(gained / ideal)
    assert values["R@2"]["q"] == pytest.approx(1 / 3)
    assert values["RR@10"]["q"] == pytest.approx(1 / 2)


@given(st.dictionaries(st.sampled_from("pqr"), st.tuples(GRADES, RANKED), min_size=1))
def test_they_agree_with_ir_measures(queries: dict[str, tuple[dict[str, int], list[str]]]) -> None:
    qrels = {query: grades for query, (grades, _) in queries.items()}
    run = {query: ranked for query, (_, ranked) in queries.items()}
    scored = {
        query: {name: float(len(ranked) - rank) for rank, name in enumerate(ranked)}
        for query, ranked in run.items()
    }
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    theirs = ir_measures.calc_aggregate(measures, qrels, scored)
    ours = evaluate_run(run, qrels, MEASURES)
    for name, measure in zip(MEASURES, measures, strict=True):
        assert np.mean(list(ours[name].values())) == pytest.approx(theirs[measure], abs=1e-6)


def test_a_query_that_found_nothing_counts_as_zero() -> None:
    values = evaluate_run({}, {"q": {"a": 1}}, ["nDCG@10", "Success@5"])
    assert values == {"nDCG@10": {"q": 0.0}, "Success@5": {"q": 0.0}}


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown measure 'MAP'"):
        evaluate_run({}, {"q": {"a": 1}}, ["MAP"])


def test_the_interval_has_the_width_that_theory_gives() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.2, 400).tolist()
    low, high = confidence_interval(values)
    assert high - low == pytest.approx(2 * 1.96 * np.std(values) / 20, rel=0.1)
    assert low < np.mean(values) < high
    assert confidence_interval([0.3]) == (0.3, 0.3)
    assert confidence_interval([]) == (0.0, 0.0)


def test_chance_is_told_from_a_difference() -> None:
    rng = np.random.default_rng(2)
    base = rng.random(50)
    better = base + 0.1 + 0.05 * rng.standard_normal(50)
    same = base + 0.05 * rng.standard_normal(50)
    assert paired_p_value(better.tolist(), base.tolist()) < 0.001
    assert paired_p_value(same.tolist(), base.tolist()) > 0.05
    assert paired_p_value([0.5], [0.5]) == 1.0
    assert paired_p_value([], []) == 1.0
