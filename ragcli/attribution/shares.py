"""Shares of an answer by context, sentence and token, from weights over window tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragcli.attribution.methods import DEFAULT_METHOD, token_weights
from ragcli.corpus.sentences import sentence_spans
from ragcli.records import Attribution, Generation, SentenceShare, TokenShare

LEAST_SHARE = 1e-4
"""Sentences owed less than this are left out."""


def attribute(
    generation: Generation, contexts: Sequence[str], method: str = DEFAULT_METHOD
) -> Attribution:
    """Share the answer out among ``contexts``, the texts the generation was read from.

    Every answer token counts the same. Of each, the copy gate's share is owed to the contexts, in
    proportion to the method's weights, and the rest to the vocabulary; so all shares are
    non-negative and those of the contexts and the vocabulary sum to 1.
    """
    if not generation.tokens:
        return Attribution(method, (0.0,) * len(contexts), 1.0, (), ())
    weights = token_weights(generation, method) * generation.copy_gate[:, None, None]
    mean = weights.mean(axis=0)
    shares = [0.0] * len(contexts)
    for window, context in enumerate(generation.window_context):
        shares[context] += float(mean[window].sum())
    sentences = share_by_sentence(generation, contexts, mean)
    return Attribution(
        method,
        tuple(shares),
        max(0.0, 1.0 - sum(shares)),
        tuple(sentence for sentence in sentences if sentence.share >= LEAST_SHARE),
        _token_shares(generation, weights),
    )


def share_by_sentence(
    generation: Generation, contexts: Sequence[str], weights: NDArray[np.float32]
) -> list[SentenceShare]:
    """Add ``weights (n_windows, window_len)`` up by sentence; the largest share first.

    Ties stand by context and place.
    """
    found: list[SentenceShare] = []
    for context, text in enumerate(contexts):
        windows = [w for w, own in enumerate(generation.window_context) if own == context]
        if not windows:
            continue
        starts = generation.token_spans[windows][..., 0].ravel()
        mass = weights[windows].ravel()
        for start, end in sentence_spans(text):
            share = float(mass[(starts >= start) & (starts < end)].sum())
            found.append(SentenceShare(context, start, end, text[start:end], share))
    return sorted(found, key=lambda s: (-s.share, s.context, s.start))


def _token_shares(generation: Generation, weights: NDArray[np.float32]) -> tuple[TokenShare, ...]:
    """Weight of each answer token at the place it was copied from, or of the vocabulary."""
    shares = []
    for step, token in enumerate(generation.tokens):
        if token.context is None:
            weight = 1.0 - float(generation.copy_gate[step])
        else:
            at = [w for w, own in enumerate(generation.window_context) if own == token.context]
            here = generation.token_spans[at][..., 0] == token.start
            weight = float(weights[step, at][here].sum())
        shares.append(TokenShare(token.text, token.context, token.start, token.end, weight))
    return tuple(shares)
