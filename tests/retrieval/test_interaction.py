"""Late interaction by hand, and over what self-attention makes of real words."""

from __future__ import annotations

import numpy as np
import pytest

from ragcli.encoder import TokenStates, load_encoder
from ragcli.retrieval.interaction import (
    attend,
    interaction_score,
    query_tokens,
    sentence_score,
    word_score,
)


def _tokens(states: list[list[float]], spans: list[tuple[int, int]]) -> TokenStates:
    return TokenStates(np.array(states, dtype=np.float32), np.array(spans, dtype=np.int32))


QUERY = _tokens([[1, 0], [0, 1], [1, 0]], [(0, 0), (0, 3), (4, 8)])


def test_an_example_by_hand() -> None:
    query = query_tokens(QUERY, [(0, 3, 3.0), (4, 8, 1.0)])
    assert query.weights.tolist() == [0.75, 0.25]
    passage = _tokens([[1, 0], [0.6, 0.8]], [(0, 4), (5, 9)])
    assert np.allclose(attend(query, passage), [[0, 0.8], [1, 0.6]])
    assert word_score(query, passage) == pytest.approx(0.75 * 0.8 + 0.25 * 1.0)


def test_special_tokens_are_never_looked_at() -> None:
    query = query_tokens(QUERY, [(4, 8, 1.0)])
    passage = _tokens([[1, 0], [0.6, 0.8]], [(0, 0), (0, 4)])
    assert word_score(query, passage) == pytest.approx(0.6)
    assert word_score(query, _tokens([[1, 0]], [(0, 0)])) == 0.0


def test_a_word_of_several_tokens_shares_its_weight() -> None:
    query = query_tokens(QUERY, [(0, 8, 2.0)])
    assert query.weights.tolist() == [0.5, 0.5]


def test_without_words_every_token_counts() -> None:
    assert query_tokens(QUERY, []).weights.tolist() == pytest.approx([1 / 3] * 3)


def test_the_encoder_finds_what_is_meant_by_other_words() -> None:
    encoder = load_encoder()
    asked, doctor, boat = encoder.encode_tokens(
        ["physician", "The doctor saw a patient.", "The boat left the harbour."]
    )
    query = query_tokens(asked, [(0, 9, 1.0)])
    assert word_score(query, doctor) > word_score(query, boat) + 0.2
    best = int(attend(query, doctor).max(axis=0).argmax())
    assert tuple(doctor.spans[best]) == (4, 10)


def test_the_best_sentence_counts_and_fragments_do_not() -> None:
    states = [[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 4 + [[0.6, 0.8]]
    passage = _tokens(states, [(n, n + 1) for n in range(9)])
    vector = np.array([0.6, 0.8], dtype=np.float32)
    assert sentence_score(vector, passage, [(0, 4)]) == pytest.approx(0.6)
    assert sentence_score(vector, passage, [(0, 4), (4, 8)]) == pytest.approx(0.8)
    assert sentence_score(vector, passage, [(8, 9)]) == 0.0
    assert interaction_score(1.0, 0.5) == pytest.approx(0.85)
