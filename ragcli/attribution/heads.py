"""What each cross-attention head looked at: many heads, each with its own focus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragcli.attribution.methods import over_passages
from ragcli.attribution.shares import share_by_sentence
from ragcli.records import Generation, HeadFocus


def head_focus(generation: Generation, contexts: Sequence[str]) -> tuple[HeadFocus, ...]:
    """Describe every head, layer by layer, averaged over the answer's tokens."""
    if not generation.tokens:
        return ()
    by_head = over_passages(generation, generation.cross_attention).mean(axis=2)
    n_layers, n_heads = by_head.shape[:2]
    described = []
    for layer in range(n_layers):
        for head in range(n_heads):
            weights = by_head[layer, head]
            shares = np.zeros(len(contexts))
            np.add.at(shares, list(generation.window_context), weights.sum(axis=-1))
            positive = weights[weights > 0]
            entropy = float(-(positive * np.log2(positive)).sum())
            sentences = share_by_sentence(generation, contexts, weights)
            described.append(
                HeadFocus(
                    layer + 1,
                    head + 1,
                    tuple(float(share) for share in shares),
                    max(entropy, 0.0),
                    sentences[0] if sentences else None,
                )
            )
    return tuple(described)
