"""Late interaction: token-to-token attention between a query and a passage.

Each word of the query looks for the passage's token that fits it best, by the cosine of their
states after self-attention; the passage's score is the mean of what the words found, the rarer
words counting more (MaxSim, Khattab & Zaharia 2020, https://arxiv.org/abs/2004.12832; here with
the encoder's own states, without training). The same cosines say which words of a passage matched.
To this comes how well the passage's best sentence, as a whole, fits the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ragcli.encoder import TokenStates

SENTENCE_WEIGHT = 0.3
"""Share of the best sentence in a passage's score, its words having the rest."""
LEAST_TOKENS = 4
"""Fewer tokens make no sentence."""

WordWeights = Sequence[tuple[int, int, float]]
"""Words of a query: characters ``[start, end)`` and weight."""


@dataclass(frozen=True, slots=True)
class QueryTokens:
    """The tokens of a query's telling words.

    ``states (n_tokens, dimension)`` are unit vectors; ``weights (n_tokens,)`` sum to 1, the weight
    of a word being shared by its tokens.
    """

    states: NDArray[np.float32]
    weights: NDArray[np.float32]


def query_tokens(tokens: TokenStates, words: WordWeights) -> QueryTokens:
    """Pick from a query's ``tokens`` those of its ``words``; all of them when it has no word."""
    weights = np.zeros(len(tokens.states), dtype=np.float32)
    for start, end, weight in words:
        inside = tokens.inside(start, end)
        if inside.any():
            weights[inside] += weight / inside.sum()
    if not weights.any():
        weights[:] = 1.0
    kept = weights > 0
    return QueryTokens(tokens.states[kept], weights[kept] / weights[kept].sum())


def attend(query: QueryTokens, passage: TokenStates) -> NDArray[np.float32]:
    """Cosines ``(n_query_tokens, n_passage_tokens)``; special tokens have -1."""
    cosines: NDArray[np.float32] = query.states @ passage.states.T
    cosines[:, passage.spans[:, 0] == passage.spans[:, 1]] = -1.0
    return cosines


def word_score(query: QueryTokens, passage: TokenStates) -> float:
    """Mean over the query's tokens of the best cosine each finds in the passage, in [0, 1]."""
    cosines = attend(query, passage)
    if not cosines.size:
        return 0.0
    return max(float(query.weights @ cosines.max(axis=1)), 0.0)


def sentence_score(
    vector: NDArray[np.float32], passage: TokenStates, sentences: Sequence[tuple[int, int]]
) -> float:
    """Cosine of the query's ``vector`` and the sentence nearest to it, in [0, 1].

    A sentence's vector is the mean of its tokens' states; each state has looked at the whole
    passage. Sentences of very few tokens say nothing and do not count.
    """
    best = 0.0
    for start, end in sentences:
        inside = passage.inside(start, end)
        if inside.sum() >= LEAST_TOKENS:
            mean = passage.states[inside].mean(axis=0)
            best = max(best, float(vector @ mean) / max(float(np.linalg.norm(mean)), 1e-12))
    return best


def interaction_score(words: float, sentence: float) -> float:
    """One score in [0, 1] of the two."""
    return (1.0 - SENTENCE_WEIGHT) * words + SENTENCE_WEIGHT * sentence
