"""How much of an answer, and of each of its words, is owed to each word of the passages.

Shapes: N words of the answer, S words of the contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ragcli.attribution.focus import answer_words, passage_words, word_labels
from ragcli.attribution.methods import score_sources
from ragcli.attribution.shares import as_shares
from ragcli.records import Attribution, Generation, WordShares


def share_words(
    generation: Generation, contexts: Sequence[str], attribution: Attribution
) -> WordShares:
    """Share the answer out among the words of ``contexts``, and so each of the answer's words.

    By the scores above 0 of the method that its ``attribution`` to contexts is by. The words are
    owed as much of the answer as the contexts are, and of a word as much as was copied.
    """
    seen = passage_words(contexts)
    labels = word_labels(generation, seen, contexts)
    firsts = answer_words(generation.tokens, contexts)[1]

    def shares(part: Generation, copied: float) -> list[float]:
        return as_shares(score_sources(part, labels, len(seen), attribution.method), copied)

    parts = [
        _part(generation, first, end) for first, end in pairwise((*firsts, len(generation.tokens)))
    ]
    rows = [shares(part, float(part.copy_gate.mean())) for part in parts]
    return WordShares(
        np.array(shares(generation, sum(attribution.contexts)), dtype=np.float32),
        np.array(rows, dtype=np.float32),
    )


def _part(generation: Generation, first: int, end: int) -> Generation:
    """What was generated in the steps ``[first, end)``; scores before softmax stay whole.

    Of these, only those of the answer's own first token are ever asked for.
    """
    steps = slice(first, end)
    return replace(
        generation,
        tokens=generation.tokens[steps],
        cross_attention=generation.cross_attention[:, :, steps],
        copy=generation.copy[steps],
        copy_gate=generation.copy_gate[steps],
        matching=generation.matching[steps],
    )
