from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.training.alteration import alter, names_in

PASSAGE = (
    "In 1858 the Virgin Mary appeared to Bernadette Soubirous in Lourdes. The largest of the "
    "grottoes stands in Notre Dame. Later, Anna's sister went to Paris."
)
STRANGERS = ("Ada Lovelace", "Vienna", "Lourdes")
SEEDS = st.integers(0, 10_000)


def _altered(question: str, seed: int) -> str | None:
    return alter(question, PASSAGE, STRANGERS, np.random.default_rng(seed))


def test_names_are_runs_of_capitalised_words_within_sentences() -> None:
    names = ["Virgin Mary", "Bernadette Soubirous", "Lourdes", "Notre Dame", "Anna", "Paris"]
    assert names_in(PASSAGE) == names


@given(SEEDS)
def test_a_name_becomes_another_that_is_not_asked_about(seed: int) -> None:
    question = "To whom did the Virgin Mary appear?"
    altered = _altered(question, seed)
    assert altered is not None
    if " not " in altered:
        assert altered == "To whom did not the Virgin Mary appear?"
        return
    new = re.fullmatch(r"To whom did the (.+) appear\?", altered)
    assert new is not None
    assert new[1] in {"Bernadette Soubirous", "Notre Dame", "Ada Lovelace"}  # of two words too


@given(SEEDS)
def test_a_number_becomes_one_that_does_not_stand_in_the_passage(seed: int) -> None:
    altered = alter("What came about by 1850?", PASSAGE, (), np.random.default_rng(seed))
    if altered is not None:
        number = re.fullmatch(r"What came about by (\d+)\?", altered)
        assert number is not None
        assert number[1] not in {"1850", "1858"}
        assert abs(int(number[1]) - 1850) <= 40


@given(SEEDS)
def test_a_word_becomes_its_opposite(seed: int) -> None:
    assert _altered("where stands the largest grotto", seed) == "where stands the smallest grotto"


@given(SEEDS)
def test_what_no_other_rule_changes_is_negated(seed: int) -> None:
    assert _altered("who was ill", seed) == "who was not ill"


@given(SEEDS)
def test_a_question_without_anything_to_change_stays(seed: int) -> None:
    assert _altered("why", seed) is None


@pytest.mark.parametrize("question", ["To whom did the Virgin Mary appear in 1858?", "who was ill"])
def test_the_same_seed_alters_in_the_same_way(question: str) -> None:
    assert _altered(question, 3) == _altered(question, 3)
