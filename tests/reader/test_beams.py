from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ragcli.errors import UsageError
from ragcli.reader import Reader, ReaderFingerprint
from ragcli.reader.checkpoint import initialise
from ragcli.reader.model import MAX_BEAMS, SENTENCE, SHORT, ReaderConfig, beams_of
from ragcli.records import Generation

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
TEA = "Green tea is brewed at 80 degrees, black tea with boiling water."
HOUSE = "The boiler in the cellar was serviced by Mr Holm in October, and the roof by Ms Dahl."
ASKED = [
    ("When is the project review due?", [REVIEW, TEA]),
    ("How is tea brewed?", [TEA, HOUSE]),
    ("Who worked in the house?", [HOUSE, REVIEW, TEA]),
    ("What is due?", [REVIEW]),
    ("What was done in the cellar?", [TEA, HOUSE]),
]
Found = dict[int, tuple[Generation, float]]
"""A generation of each question, with the log-probability of the whole answer."""


def read(
    reader: Reader, asked: Sequence[tuple[str, list[str]]], form: str = SHORT, beams: int = 1
) -> Found:
    questions, contexts = zip(*asked, strict=True)
    return {
        n: (generation, float(memory.log_probabilities([memory.everything()])[0]))
        for n, generation, memory in reader.read(questions, contexts, form=form, beams=beams)
    }


@pytest.mark.parametrize("form", [SHORT, SENTENCE])
def test_beams_find_answers_as_likely_as_greedy_ones_or_likelier(reader: Reader, form: str) -> None:
    greedy, followed = read(reader, ASKED, form), read(reader, ASKED, form, beams=6)
    for n, (one, likelihood) in greedy.items():
        other, likelihood_of_other = followed[n]
        assert likelihood_of_other >= likelihood - 0.02
        if other.text == one.text:
            # The same answer looked at the same things, whichever beam it was found in.
            for name in ("copy", "copy_gate", "cross_attention"):
                assert np.allclose(getattr(one, name), getattr(other, name), atol=0.05)
            assert one.tokens[0].start == other.tokens[0].start
            assert one.p_no_answer == pytest.approx(other.p_no_answer, abs=0.02)
    assert any(followed[n][0].text == one.text for n, (one, _) in greedy.items())


def test_beams_find_a_likelier_answer_than_the_greedy_one() -> None:
    """A reader that was not trained is unsure at every step, so going ahead greedily misleads."""
    untrained = Reader(initialise(ReaderConfig()), ReaderFingerprint("untrained", ""))
    questions, contexts = zip(*ASKED, strict=True)
    totals = [
        [sum(t.log_probability for t in g.tokens) for g in found]
        for found in (
            untrained.generate(questions, contexts, 3, beams=beams) for beams in (1, MAX_BEAMS)
        )
    ]
    assert all(wide >= narrow - 1e-3 for narrow, wide in zip(*totals, strict=True))
    assert any(wide > narrow + 0.01 for narrow, wide in zip(*totals, strict=True))


def test_an_answer_of_beams_does_not_depend_on_its_batch(reader: Reader) -> None:
    together = read(reader, ASKED, beams=4)
    for n, one in enumerate(ASKED):
        alone, likelihood = read(reader, [one], beams=4)[0]
        assert alone.text == together[n][0].text
        assert likelihood == pytest.approx(together[n][1], abs=0.05)


def test_an_answer_of_beams_keeps_to_the_limit_of_tokens(reader: Reader) -> None:
    for generation in reader.generate(
        ["How is tea brewed?"] * 2, [[TEA], [TEA, HOUSE]], 1, beams=3
    ):
        assert len(generation.tokens) == 1


def test_by_default_each_form_has_its_number_of_beams(reader: Reader) -> None:
    asked = [["Who worked in the house?"], [[HOUSE, REVIEW, TEA]]]
    for form, expected in ((SHORT, 4), (SENTENCE, 1)):
        ((_, _, memory),) = reader.read(*asked, form=form)
        assert memory.beams == expected == beams_of(form, None)
        ((_, _, memory),) = reader.read(*asked, form=form, beams=2)
        assert memory.beams == 2


@pytest.mark.parametrize("beams", [0, -1, MAX_BEAMS + 1])
def test_a_number_of_beams_that_cannot_be_is_refused(beams: int) -> None:
    with pytest.raises(UsageError, match="beams"):
        beams_of(SHORT, beams)
