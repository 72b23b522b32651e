"""Token states of passages, kept from one batch to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ragcli.encoder import TokenStates
from ragcli.retrieval.passage_states import PassageStates

if TYPE_CHECKING:
    from conftest import WordEncoder


class Counted:
    """An encoder that writes down what it was given."""

    def __init__(self, encoder: WordEncoder) -> None:
        self._encoder = encoder
        self.texts: list[str] = []

    def encode_tokens(self, texts: Sequence[str]) -> list[TokenStates]:
        self.texts += texts
        return self._encoder.encode_tokens(texts)


def test_a_passage_is_encoded_once(encoder: WordEncoder) -> None:
    counted, states = Counted(encoder), PassageStates()
    states.of(counted, ["red apple", "blue sea", "red apple"])
    found = states.of(counted, ["blue sea", "green apple. A sea."])
    assert counted.texts == ["blue sea", "red apple", "green apple. A sea."]
    expected = encoder.encode_tokens(["green apple. A sea."])[0]
    tokens = found["green apple. A sea."]
    np.testing.assert_allclose(tokens.states.states, expected.states, atol=1e-3)
    np.testing.assert_array_equal(tokens.states.spans, expected.spans)
    assert tokens.sentences == [(0, 12), (13, 19)]


def test_what_was_not_asked_for_lately_makes_room(encoder: WordEncoder) -> None:
    one_word = encoder.encode_tokens(["sea"])[0].states.astype(np.float16).nbytes
    counted, states = Counted(encoder), PassageStates(capacity=2 * one_word)
    states.of(counted, ["red", "sea"])
    states.of(counted, ["red"])
    states.of(counted, ["apple"])  # instead of the sea
    states.of(counted, ["red", "apple"])
    assert counted.texts == ["red", "sea", "apple"]
    assert states.of(counted, ["red", "apple", "sea", "tree"]).keys() == {
        "red",
        "apple",
        "sea",
        "tree",
    }
