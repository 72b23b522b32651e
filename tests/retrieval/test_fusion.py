"""Laws of fusion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.retrieval.fusion import min_max, rank_fusion, weighted_mean

RANKINGS = st.dictionaries(st.integers(0, 20), st.floats(-5, 5), max_size=12).map(
    lambda scores: sorted(scores.items(), key=lambda item: (-item[1], item[0]))
)
WEIGHTS = st.floats(0, 1)


def test_an_example_by_hand() -> None:
    dense, lexical = [(1, 0.8), (2, 0.6), (3, 0.4)], [(3, 9.0), (4, 3.0)]
    assert min_max(dense) == pytest.approx({1: 1.0, 2: 0.5, 3: 0.0})
    assert weighted_mean(dense, lexical, 0.25) == pytest.approx({1: 0.25, 2: 0.125, 3: 0.75, 4: 0})
    fused = rank_fusion(dense, lexical, 0.5)
    assert fused == pytest.approx(
        {1: 0.5, 2: 0.5 * 61 / 62, 3: 0.5 * 61 / 63 + 0.5, 4: 0.5 * 61 / 62}
    )


@given(RANKINGS, RANKINGS, WEIGHTS)
def test_every_passage_of_either_side_has_one_score_in_the_unit_interval(
    dense: list[tuple[int, float]], lexical: list[tuple[int, float]], weight: float
) -> None:
    for fuse in (weighted_mean, rank_fusion):
        fused = fuse(dense, lexical, weight)
        assert set(fused) == {key for key, _ in (*dense, *lexical)}
        assert all(-1e-9 <= score <= 1 + 1e-9 for score in fused.values())


@given(RANKINGS, RANKINGS)
def test_all_weight_on_one_side_keeps_its_order(
    dense: list[tuple[int, float]], lexical: list[tuple[int, float]]
) -> None:
    for fuse in (weighted_mean, rank_fusion):
        fused = fuse(dense, lexical, 1.0)
        scores = [fused[key] for key, _ in dense]
        assert scores == sorted(scores, reverse=True)
