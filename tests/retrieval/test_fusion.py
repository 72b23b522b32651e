"""Laws of fusion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.retrieval.fusion import FUSIONS, Sides, fuse, normalise, rank_fusion, weighted_mean

SCORES = st.dictionaries(st.integers(0, 20), st.floats(-5, 5), max_size=12)
Found = list[tuple[int, float]]


def _ranked(scores: dict[int, float]) -> Found:
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


RANKINGS = SCORES.map(_ranked)
WORDS = st.dictionaries(st.integers(0, 20), st.floats(0.01, 30), max_size=12).map(_ranked)
WEIGHTS = st.floats(0, 1)
FLOORS = st.floats(-1, 1)


def test_an_example_by_hand() -> None:
    dense, lexical = [(1, 0.8), (2, 0.6), (3, 0.4)], [(3, 9.0), (4, 3.0)]
    assert normalise(dense, 0.4) == pytest.approx({1: 1.0, 2: 0.5, 3: 0.0})
    sides = Sides(dense, lexical, added=[(4, 0.5)], floor=0.4)
    assert weighted_mean(sides, 0.25) == pytest.approx(
        {1: 0.25, 2: 0.125, 3: 0.75, 4: 0.25 * 0.25 + 0.75 / 3}
    )
    assert rank_fusion(sides, 0.5) == pytest.approx(
        {1: 0.5, 2: 0.5 * 61 / 62, 3: 0.5 * 61 / 63 + 0.5, 4: 0.5 * 61 / 62}
    )


def test_a_passage_alone_in_its_index_is_the_average_and_the_best() -> None:
    assert normalise([(1, 0.3)], floor=0.3 + 1e-8) == {1: 1.0}
    assert normalise([(1, 0.3), (2, 0.1)], floor=0.3) == {1: 1.0, 2: 0.0}
    assert normalise([(1, 0.3), (2, 0.1)], floor=0.4) == {1: 0.0, 2: 0.0}
    assert normalise([]) == {}


def test_what_lies_below_the_floor_stands_by_cosine() -> None:
    sides = Sides([(7, 0.3), (2, 0.2), (5, 0.1)], [], floor=0.4)
    assert fuse(sides, "mean", 0.5) == [(7, 0.0), (2, 0.0), (5, 0.0)]


@given(RANKINGS, WORDS, WEIGHTS, FLOORS)
def test_every_passage_of_either_side_has_one_score_in_the_unit_interval(
    dense: Found, lexical: Found, weight: float, floor: float
) -> None:
    for way in FUSIONS.values():
        fused = way(Sides(dense, lexical, floor=floor), weight)
        assert set(fused) == {key for key, _ in (*dense, *lexical)}
        assert all(-1e-9 <= score <= 1 + 1e-9 for score in fused.values())


@given(RANKINGS, WORDS, FLOORS)
def test_all_weight_on_one_side_keeps_its_order(dense: Found, lexical: Found, floor: float) -> None:
    for way in FUSIONS.values():
        for side, weight in ((dense, 1.0), (lexical, 0.0)):
            fused = way(Sides(dense, lexical, floor=floor), weight)
            scores = [fused[key] for key, _ in side]
            assert scores == sorted(scores, reverse=True)


@given(RANKINGS, WORDS, WEIGHTS, FLOORS)
def test_how_many_worse_passages_were_found_does_not_change_a_mean(
    dense: Found, lexical: Found, weight: float, floor: float
) -> None:
    every = weighted_mean(Sides(dense, lexical, floor=floor), weight)
    known = {key for key, _ in lexical}
    kept = [dense[0]] if dense else []
    others = [(key, score) for key, score in dense[1:] if key in known]
    few = weighted_mean(Sides(kept, lexical, added=others, floor=floor), weight)
    assert all(score == every[key] for key, score in few.items())


@given(RANKINGS, WORDS)
def test_a_fused_ranking_falls_and_equals_stand_by_cosine_then_id(
    dense: Found, lexical: Found
) -> None:
    cosines = dict(dense)
    ranked = fuse(Sides(dense, lexical), "mean", 0.5)
    places = [(-score, -cosines.get(key, -1.0), key) for key, score in ranked]
    assert places == sorted(places)
