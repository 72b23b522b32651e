from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.evaluation.answers import exact_match, f1, normalise
from ragcli.evaluation.calibration import expected_calibration_error

TEXT = st.text(st.sampled_from("abthe nxy.,-'é "), max_size=30)


def test_normalising_drops_case_punctuation_articles_and_space() -> None:
    assert normalise("  The Cat,\tsat on a mat. ") == "cat sat on mat"
    assert normalise("theatre anthem") == "theatre anthem"
    assert normalise("t.he U.S.A.") == "usa"


@pytest.mark.parametrize(
    ("prediction", "answers", "em", "f"),
    [
        ("the Broncos", ["Broncos"], 1, 1),
        ("Denver Broncos", ["Broncos"], 0, 2 / 3),
        ("Denver Broncos", ["Broncos", "Denver broncos!"], 1, 1),
        ("14 March", ["14 March 2025"], 0, 0.8),
        ("to to be", ["to be or"], 0, 2 / 3),
        ("the", ["a"], 1, 1),
        ("the", ["Broncos"], 0, 0),
        ("otter", ["Broncos"], 0, 0),
        (None, [], 1, 1),
        ("otter", [], 0, 0),
        (None, ["otter"], 0, 0),
        ("", ["otter"], 0, 0),
    ],
)
def test_scores_are_those_of_squads_script(
    prediction: str | None, answers: list[str], em: float, f: float
) -> None:
    assert exact_match(prediction, answers) == em
    assert f1(prediction, answers) == pytest.approx(f)


@given(TEXT)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(TEXT, st.lists(TEXT, max_size=3))
def test_scores_are_shares_and_an_exact_match_has_full_f1(text: str, answers: list[str]) -> None:
    em, f = exact_match(text, answers), f1(text, answers)
    assert em in (0.0, 1.0)
    assert em <= f <= 1.0


@given(TEXT, TEXT)
def test_f1_is_symmetric(one: str, other: str) -> None:
    assert f1(one, [other]) == pytest.approx(f1(other, [one]))


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_another_accepted_answer_never_harms(text: str, answers: list[str], more: str) -> None:
    assert f1(text, [*answers, more]) >= f1(text, answers)
    assert exact_match(text, [*answers, text]) == 1.0


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    right = np.array([1.0, 0.0, 1.0, 0.0])
    assert expected_calibration_error(np.full(4, 0.5), right) == pytest.approx(0.0)
    assert expected_calibration_error(np.full(4, 0.75), right) == pytest.approx(0.25)
    assert expected_calibration_error(right, right) == pytest.approx(0.0)
    assert expected_calibration_error(1 - right, right) == pytest.approx(1.0)
    assert expected_calibration_error(np.zeros(0), np.zeros(0)) == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30))
def test_calibration_error_is_a_share(judged: list[tuple[float, bool]]) -> None:
    confidences = np.array([c for c, _ in judged])
    right = np.array([float(r) for _, r in judged])
    assert 0.0 <= expected_calibration_error(confidences, right) <= 1.0 + 1e-9
