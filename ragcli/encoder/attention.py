"""Multi-head attention, written out once; every layer of the encoder and the reader uses it.

Attention answers one question for each position: where should I look, and what do I take from
there? A *query* says what the position looks for, a *key* says what each other position contains,
and a *value* says what it contributes. Scores are dot products of queries with keys, softmax turns
them into weights that sum to 1, and the output is the weighted sum of the values. Several heads do
this side by side in smaller subspaces, so each can look for something else
(Vaswani et al. 2017, https://arxiv.org/abs/1706.03762).

Shapes: B batch, H heads, T queries, S keys, D model dimension, d = D / H head dimension.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class AttentionOutput(NamedTuple):
    """``values (B, T, D)`` and, where asked for, ``scores`` and ``weights (B, H, T, S)``.

    ``scores`` are before softmax (``-inf`` where masked), ``weights`` after it.
    """

    values: Tensor
    scores: Tensor | None = None
    weights: Tensor | None = None


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> AttentionOutput:
    """Scaled dot-product attention, step by step.

    ``queries (B, H, T, d)``, ``keys`` and ``values (B, H, S, d)``; ``mask`` broadcasts to
    ``(B, H, T, S)`` and is true where a query may look.
    """
    scores = (queries / math.sqrt(queries.shape[-1])) @ keys.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return AttentionOutput(weights @ values, scores, weights)


def attend_fused(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
) -> AttentionOutput:
    """Compute what ``attend`` computes in one kernel that never stores the weights: fast."""
    return AttentionOutput(
        functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    )


class MultiHeadAttention(nn.Module):
    """Projects to queries, keys and values, attends with every head, and projects back."""

    def __init__(self, dimension: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(dimension, dimension)
        self.key = nn.Linear(dimension, dimension)
        self.value = nn.Linear(dimension, dimension)
        self.output = nn.Linear(dimension, dimension)

    def split_heads(self, states: Tensor) -> Tensor:
        """``(B, T, D)`` → ``(B, H, T, d)``."""
        batch, length, dimension = states.shape
        heads = states.view(batch, length, self.n_heads, dimension // self.n_heads)
        return heads.transpose(1, 2)

    def join_heads(self, found: Tensor) -> Tensor:
        """``(B, H, T, d)`` → ``(B, T, D)``: side by side, and projected back."""
        merged: Tensor = self.output(found.transpose(1, 2).flatten(2))
        return merged

    def project_memory(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values ``(B, H, S, d)`` of ``states (B, S, D)``; computed once, used often."""
        return self.split_heads(self.key(states)), self.split_heads(self.value(states))

    def value_norms(self, values: Tensor) -> Tensor:
        """Length ``(B, H, S)`` of each of ``values (B, H, S, d)`` as the output projection maps it.

        Times its weight it is what a position contributes (Kobayashi et al. 2020,
        https://arxiv.org/abs/2004.10102).
        """
        weight = self.output.weight.float()
        heads = weight.view(weight.shape[0], self.n_heads, -1)
        squared = torch.einsum("ohd,ohe->hde", heads, heads)
        mapped = values.float() @ squared
        return (mapped * values).sum(dim=-1).clamp(min=0).sqrt()

    def forward(
        self,
        states: Tensor,
        memory: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        *,
        return_weights: bool = False,
    ) -> AttentionOutput:
        """Let ``states (B, T, D)`` look at ``memory``, the keys and values to attend over.

        Self-attention passes the keys and values of ``states`` themselves, cross-attention those
        of another sequence. Where there are fewer of these than states, as many states in turn
        share each, and each still has its own ``mask (B, 1, 1, S)``. ``return_weights`` takes the
        written-out path; so does training on a CPU, where the fused kernel's backward pass is the
        slower one (3 × in bf16).
        """
        queries = self.split_heads(self.query(states))
        n_sharing = len(states) // len(memory[0])
        if n_sharing > 1:
            queries = _side_by_side(queries, n_sharing)
            if mask is not None:
                mask = _side_by_side(mask.expand(-1, -1, states.shape[1], -1), n_sharing)
        written_out = return_weights or (self.training and queries.device.type == "cpu")
        attention = attend if written_out else attend_fused
        mixed, scores, weights = attention(queries, *memory, mask)
        if n_sharing > 1:
            mixed = _apart(mixed, n_sharing)
            scores = None if scores is None else _apart(scores, n_sharing)
            weights = None if weights is None else _apart(weights, n_sharing)
        return AttentionOutput(self.join_heads(mixed), scores, weights)

    def within(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        """Self-attention inside each of several sequences that stand one behind the other.

        ``states (N, D)`` of sequences of ``lengths``, N together → ``(N, D)``. Nothing is padded,
        and sequences of a few hundred tokens are attended to faster one by one than by the fused
        kernel: by a fifth on a CPU in bfloat16.
        """
        projected = (self.query(states), self.key(states), self.value(states))
        heads = (
            self.split_heads(each[None]).split_with_sizes(list(lengths), 2) for each in projected
        )
        found = [
            attend(queries, keys, values, mask=None).values.transpose(1, 2)
            for queries, keys, values in zip(*heads, strict=True)
        ]
        merged: Tensor = self.output(torch.cat(found, 1).flatten(2)[0])
        return merged


def _side_by_side(rows: Tensor, n: int) -> Tensor:
    """``(B · n, H, T, d)`` → ``(B, H, n · T, d)``: queries of the same memory in one row."""
    return rows.reshape(-1, n, *rows.shape[1:]).transpose(1, 2).flatten(2, 3)


def _apart(rows: Tensor, n: int) -> Tensor:
    """``(B, H, n · T, d)`` → ``(B · n, H, T, d)``."""
    batch, heads, _, width = rows.shape
    return rows.reshape(batch, heads, n, -1, width).transpose(1, 2).flatten(0, 1)


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """``(length, length)`` bool: position t may look at positions up to and including t."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()
