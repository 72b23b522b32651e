"""The readings: each turns a generation into scores of the sources that it was read from.

A method maps a ``Generation``, ``labels (n_windows, window_len) int`` that say which source each
window token belongs to (-1: to none), and the number S of sources to scores ``(S,)``: how much of
the answer is owed to each, in the method's own unit. A score below 0 says that the answer would be
likelier without that source. To add one, write such a function and name it in ``METHODS``.
Shapes: T answer tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragcli.errors import ModelError, UsageError
from ragcli.records import Generation

Labels = NDArray[np.int32]
Scores = NDArray[np.float64]

HEAD_WEIGHTS = Path(__file__).parent / "head_weights.json"
_LEAST = 1e-9
"""Least probability that is told from 0."""
_SMALLEST = 1e-30
_FAINT = 0.1
"""Attention on the answer's own tokens below which more or less of it hardly matters."""


def copy_distribution(generation: Generation, labels: Labels, n_sources: int) -> Scores:
    """How much of the answer would be copied from each source, mean over its tokens.

    The pointer of See et al. 2017, https://arxiv.org/abs/1704.04368.
    """
    return _mean(generation, generation.copy, labels, n_sources)


def copy_effect(generation: Generation, labels: Labels, n_sources: int) -> Scores:
    """What the answer would lose without each source, were nothing computed anew but the softmax.

    Without a source, the copy distribution is scaled up over the others. An answer token's
    probability, ``written + g · match`` with the copy gate ``g``, becomes ``written + g · match /
    mass``, where ``mass`` is what the distribution puts on all other sources and ``match`` what of
    it lies on the token itself. The score is the loss of log-probability (natural), summed over the
    answer's tokens: leave-one-out in closed form, for the last attention of the computation alone.
    A source that only competes has a score below 0.
    """
    gate = generation.copy_gate[:, None].astype(np.float64)
    held = np.where(generation.matching, generation.copy, 0.0)
    match = held.sum(axis=(1, 2), dtype=np.float64)[:, None]
    # Sums of what is left: differences of sums would drown in rounding where a source has it all.
    mass_left, match_left = (
        by_source(w, labels, n_sources, others=True) for w in (generation.copy, held)
    )
    likelihood = np.exp([[token.log_probability] for token in generation.tokens])
    written = np.maximum(likelihood - gate * match, 0.0)
    scaled = match_left / np.maximum(mass_left, _SMALLEST)
    whole, without = written + gate * match, written + gate * scaled
    effects = np.log(np.maximum(whole, _LEAST)) - np.log(np.maximum(without, _LEAST))
    total: Scores = effects.sum(axis=0)
    return total


def mean_cross_attention(generation: Generation, labels: Labels, n_sources: int) -> Scores:
    """Cross-attention averaged over layers and heads, renormalised over the contexts' tokens."""
    weights = over_passages(generation, generation.cross_attention.mean(axis=(0, 1)))
    return _mean(generation, weights, labels, n_sources)


def value_weighted_attention(generation: Generation, labels: Labels, n_sources: int) -> Scores:
    """Cross-attention times the length of what it takes up, summed over layers and heads.

    Kobayashi et al. 2020, https://arxiv.org/abs/2004.10102.
    """
    weights = generation.cross_attention * generation.value_norms[:, :, None]
    return _mean(generation, over_passages(generation, weights.sum(axis=(0, 1))), labels, n_sources)


def first_token_scores(generation: Generation, labels: Labels, n_sources: int) -> Scores:
    """Fusion-in-Decoder's signal: scores *before* softmax, of the *first* answer token only.

    Averaged over layers and heads, then softmax over all tokens (Izacard & Grave 2021,
    https://arxiv.org/abs/2012.04584).
    """
    scores = generation.pre_softmax[:, :, :1].mean(axis=(0, 1))
    exponent = np.exp(scores - scores.max(axis=(1, 2), keepdims=True))
    weights = over_passages(generation, exponent)
    return _mean(generation, weights.repeat(len(generation.tokens), axis=0), labels, n_sources)


def learned_heads(generation: Generation, labels: Labels, n_sources: int) -> Scores:
    """What every head would lose without each source, weighted by what ablations said of the heads.

    After AT2 (Cohen-Wang et al. 2025, https://arxiv.org/abs/2504.13752), which weights the heads'
    attention itself; ``training.heads`` fits the weights, one a head.
    """
    return np.tensordot(head_weights(), head_effects(generation, labels, n_sources), axes=2)


def head_effects(generation: Generation, labels: Labels, n_sources: int) -> Scores:
    """What each head's attention to the answer's own tokens loses without a source.

    ``(layers, heads, S)``. Without a source, a head's attention is scaled up over all else, like
    the copy distribution in ``copy_effect``; the loss is that of its logarithm, damped below
    ``_FAINT``, summed over the answer's tokens.
    """
    attention = generation.cross_attention
    held = np.where(generation.matching, attention, 0.0)
    match = held.sum(axis=(-2, -1), dtype=np.float64)[..., None]
    mass_left, match_left = (
        by_source(w, labels, n_sources, others=True) for w in (attention, held)
    )
    without = match_left / np.maximum(mass_left, _SMALLEST)
    effects: Scores = (np.log(match + _FAINT) - np.log(without + _FAINT)).sum(axis=2)
    return effects


@cache
def head_weights(file: Path = HEAD_WEIGHTS) -> Scores:
    """Read the learned weights ``(layers, heads)``; raises ``ModelError``."""
    try:
        return np.array(json.loads(file.read_text(encoding="utf-8"))["weights"], dtype=np.float64)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"cannot read the weights of the heads {file}: {error}", "install ragcli anew"
        ) from error


METHODS: dict[str, Callable[[Generation, Labels, int], Scores]] = {
    "effect": copy_effect,
    "copy": copy_distribution,
    "learned-heads": learned_heads,
    "cross-attention": mean_cross_attention,
    "value-norm": value_weighted_attention,
    "first-token": first_token_scores,
}
DEFAULT_METHOD = "effect"


def score_sources(
    generation: Generation, labels: Labels, n_sources: int, method: str = DEFAULT_METHOD
) -> Scores:
    """Apply the method of that name; raises ``UsageError`` for an unknown one."""
    if method not in METHODS:
        raise UsageError(f"unknown attribution {method!r}", f"choose one of: {', '.join(METHODS)}")
    return METHODS[method](generation, labels, n_sources)


def by_source(
    weights: NDArray[np.floating], labels: Labels, n_sources: int, *, others: bool = False
) -> Scores:
    """Add up ``weights (..., n_windows, window_len)`` by source: ``(..., S)``.

    With ``others``, all that is not of the source.
    """
    flat = weights.reshape(*weights.shape[:-2], -1).astype(np.float64)
    member = labels.ravel()[:, None] == np.arange(n_sources)
    summed: Scores = flat @ (~member if others else member)
    return summed


def over_passages(generation: Generation, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep the weight on the contexts' own tokens and scale it to sum to 1.

    ``weights (..., n_windows, window_len)``; questions and special tokens lose theirs.
    """
    inside = generation.token_spans[..., 0] >= 0
    kept = np.where(inside, weights, 0.0)
    total = kept.sum(axis=(-2, -1), keepdims=True)
    uniform = inside / max(int(inside.sum()), 1)
    scaled: NDArray[np.float32] = np.where(
        total > 0, kept / np.maximum(total, 1e-12), uniform
    ).astype(np.float32)
    return scaled


def _mean(
    generation: Generation, weights: NDArray[np.float32], labels: Labels, n_sources: int
) -> Scores:
    """Mean over answer tokens of ``weights (T, n_windows, window_len)`` times the copy gate."""
    gated = weights * generation.copy_gate[:, None, None]
    mean: Scores = by_source(gated, labels, n_sources).mean(axis=0)
    return mean
