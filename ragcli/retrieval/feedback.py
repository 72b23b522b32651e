"""Feedback: the query attends over the best passages found, and what it reads there is searched.

The passages' scores, through softmax, are attention weights; the query moves towards the weighted
sum of the passages' vectors (Rocchio 1971), and takes up the terms that tell most of what they
are about (pseudo-relevance feedback). Where one passage stands out, it gets nearly all the
weight; where none does, the query learns what the best ones have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragcli.records import Scores
from ragcli.retrieval.fusion import best_first, normalise, weighted_sum
from ragcli.retrieval.lexical import any_of
from ragcli.retrieval.terms import expansion_terms

if TYPE_CHECKING:
    from ragcli.store import Index

N_PASSAGES = 10
"""Passages the query attends over."""
TEMPERATURE = 0.05
"""Of the softmax over their scores, which lie in [0, 1]."""
SHARE = 0.5
"""How far the query moves: 0 stays, 1 is the weighted sum of the passages alone."""
N_TERMS = 10
"""Terms the query takes up."""
TERM_WEIGHT = 0.4
"""What the new terms count, the query's own words counting 1."""


@dataclass(frozen=True, slots=True)
class WidenedQuery:
    """A query after feedback: ``vector (dimension,)`` and an FTS5 expression of its new terms.

    The vector is not of unit length; ``expression`` is ``None`` when no term was taken up.
    """

    vector: NDArray[np.float32]
    expression: str | None


def attention_weights(scores: Scores) -> NDArray[np.float64]:
    """Softmax over scores at ``TEMPERATURE``, ``(n,)``, summing to 1."""
    logits = np.array([score for _, score in scores], dtype=np.float64) / TEMPERATURE
    exponentials = np.exp(logits - logits.max())
    weights: NDArray[np.float64] = exponentials / exponentials.sum()
    return weights


def widen(index: Index, query: str, vector: NDArray[np.float32], ranked: Scores) -> WidenedQuery:
    """Let a query with this ``vector (dimension,)`` attend over the best of what it found."""
    best = ranked[:N_PASSAGES]
    if not best:
        return WidenedQuery(vector, None)
    attention = attention_weights(best)
    ids = [passage_id for passage_id, _ in best]
    read = attention @ index.vectors(ids).astype(np.float64)
    moved = (1.0 - SHARE) * vector.astype(np.float64) + SHARE * read
    texts = [
        "\n".join((stored.title, stored.passage.heading, stored.passage.text))
        for stored in index.passages(ids)
    ]
    terms = expansion_terms(index, query, texts, attention.tolist(), N_TERMS)
    return WidenedQuery(moved.astype(np.float32), any_of(terms))


def add_terms(own: Scores, new: Scores) -> Scores:
    """Join the BM25 scores of the query's own words and of its new terms, best first.

    Each is brought to its greatest first, so a joined score is at most ``1 + TERM_WEIGHT``.
    """
    return best_first(weighted_sum((normalise(own), 1.0), (normalise(new), TERM_WEIGHT)))
