from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ragcli.attribution import METHODS, answer_focus, attribute, share_words
from ragcli.reader import Reader
from ragcli.records import Generation

LEAVE = "A full-time employee has 27 days of annual leave in a calendar year."
REVIEW = "The project review is due on 14 March 2025. Szczepański Wróblewski leads the team."
CONTEXTS = [LEAVE, REVIEW]


@pytest.fixture(scope="module")
def generation(reader: Reader) -> Generation:
    """An answer of words that are read in pieces."""
    return reader.generate(["Who leads the team?"], [CONTEXTS])[0]


@pytest.mark.parametrize("method", METHODS)
def test_a_word_is_owed_what_was_copied_of_it(generation: Generation, method: str) -> None:
    attribution = attribute(generation, CONTEXTS, method)
    shares = share_words(generation, CONTEXTS, attribution)
    focus = answer_focus(generation, CONTEXTS)
    assert [word.text for word in focus.words] == ["Szczepański", "Wróblewski"]
    assert shares.by_word.shape == (2, len(focus.seen))
    assert shares.whole.shape == (len(focus.seen),)
    assert min(shares.whole.min(), shares.by_word.min()) >= 0.0
    assert shares.whole.sum() == pytest.approx(sum(attribution.contexts), abs=1e-5)
    ends = [n for n, token in enumerate(generation.tokens) if token.text.endswith("i")]
    pieces = np.split(generation.copy_gate, [ends[0] + 1])
    assert len(pieces[0]) > 1
    expected = [float(gates.mean()) for gates in pieces]
    assert shares.by_word.sum(axis=1) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("method", ["effect", "copy"])
def test_a_word_is_owed_most_to_the_word_it_was_copied_from(
    generation: Generation, method: str
) -> None:
    shares = share_words(generation, CONTEXTS, attribute(generation, CONTEXTS, method))
    focus = answer_focus(generation, CONTEXTS)
    for word, row in zip(focus.words, shares.by_word, strict=True):
        best = focus.seen[int(row.argmax())]
        assert (best.context, best.start, best.end) == (word.context, word.start, word.end)
        assert row.max() > 0.5


def test_the_signal_of_the_first_token_is_the_same_for_every_word(generation: Generation) -> None:
    by_word = share_words(
        generation, CONTEXTS, attribute(generation, CONTEXTS, "first-token")
    ).by_word
    scaled = by_word / by_word.sum(axis=1, keepdims=True)
    assert np.allclose(scaled[0], scaled[1], atol=1e-6)


def test_the_copy_distribution_is_that_of_the_focus(generation: Generation) -> None:
    # Every piece is gated on its own, so the gates have to be equal for the means to be.
    even = replace(generation, copy_gate=np.full_like(generation.copy_gate, 0.5))
    shares = share_words(even, CONTEXTS, attribute(even, CONTEXTS, "copy"))
    assert np.allclose(shares.by_word, answer_focus(even, CONTEXTS).copy / 2, atol=1e-6)
