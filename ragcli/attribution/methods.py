"""The readings: each turns a generation into weights over what could be read.

A method maps a ``Generation`` to ``(answer_len, n_windows, window_len) float32``, non-negative,
0 outside the contexts' own tokens, summing to 1 for each answer token. To add one, write such a
function and name it in ``METHODS``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ragcli.errors import UsageError
from ragcli.records import Generation

Weights = NDArray[np.float32]


def copy_distribution(generation: Generation) -> Weights:
    """Where each token would be copied from: the pointer of See et al. 2017."""
    return generation.copy


def mean_cross_attention(generation: Generation) -> Weights:
    """Cross-attention averaged over layers and heads, renormalised over the contexts' tokens."""
    return over_passages(generation, generation.cross_attention.mean(axis=(0, 1)))


def first_token_scores(generation: Generation) -> Weights:
    """Fusion-in-Decoder's signal: scores *before* softmax, of the *first* answer token only.

    Averaged over layers and heads, then softmax over all tokens (Izacard & Grave 2021,
    https://arxiv.org/abs/2012.04584); every answer token gets the same weights.
    """
    scores = generation.pre_softmax[:, :, :1].mean(axis=(0, 1))
    exponent = np.exp(scores - scores.max(axis=(1, 2), keepdims=True))
    return np.repeat(over_passages(generation, exponent), len(generation.tokens), axis=0)


METHODS: dict[str, Callable[[Generation], Weights]] = {
    "copy": copy_distribution,
    "cross-attention": mean_cross_attention,
    "first-token": first_token_scores,
}
DEFAULT_METHOD = "copy"


def token_weights(generation: Generation, method: str) -> Weights:
    """Apply the method of that name; raises ``UsageError`` for an unknown one."""
    if method not in METHODS:
        raise UsageError(f"unknown attribution {method!r}", f"choose one of: {', '.join(METHODS)}")
    return METHODS[method](generation)


def over_passages(generation: Generation, weights: Weights) -> Weights:
    """Keep the weight on the contexts' own tokens and scale it to sum to 1.

    ``weights (..., n_windows, window_len)``; questions and special tokens lose theirs.
    """
    inside = generation.token_spans[..., 0] >= 0
    kept = np.where(inside, weights, 0.0)
    total = kept.sum(axis=(-2, -1), keepdims=True)
    uniform = inside / max(int(inside.sum()), 1)
    scaled: Weights = np.where(total > 0, kept / np.maximum(total, 1e-12), uniform).astype(
        np.float32
    )
    return scaled
