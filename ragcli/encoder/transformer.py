"""A BERT-style transformer encoder in readable PyTorch: token ids → one state per token.

The layout and the parameter shapes are those of BERT (Devlin et al. 2019,
https://arxiv.org/abs/1810.04805), so that MiniLM's published weights load into it. Dropout stands
where BERT has it, but not on attention weights; its rate is 0 unless training sets it.
Shapes: B batch, L tokens, D dimension.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ragcli.encoder.attention import AttentionOutput, MultiHeadAttention, attend


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """Sizes of the network; the defaults are all-MiniLM-L6-v2's."""

    vocabulary_size: int = 30522
    dimension: int = 384
    n_heads: int = 12
    n_layers: int = 6
    feed_forward_dimension: int = 1536
    max_positions: int = 512
    norm_epsilon: float = 1e-12


class Embeddings(nn.Module):
    """The sum of a token's word, position and segment embeddings, normalised."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocabulary_size, config.dimension)
        self.position = nn.Embedding(config.max_positions, config.dimension)
        self.segment = nn.Embedding(2, config.dimension)
        self.norm = nn.LayerNorm(config.dimension, config.norm_epsilon)
        self.dropout = nn.Dropout(0.0)

    def forward(self, token_ids: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        """``token_ids (B, L)`` and ``segment_ids (B, L)`` (0 when absent) → ``(B, L, D)``."""
        states = self.word(token_ids) + self.position.weight[: token_ids.shape[1]]
        if segment_ids is None:
            states = states + self.segment.weight[0]
        else:
            states = states + self.segment(segment_ids)
        normalised: Tensor = self.dropout(self.norm(states))
        return normalised


class FeedForward(nn.Module):
    """Two linear maps with GELU between, applied to each position alone, with residual norm."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.expand = nn.Linear(config.dimension, config.feed_forward_dimension)
        self.contract = nn.Linear(config.feed_forward_dimension, config.dimension)
        self.norm = nn.LayerNorm(config.dimension, config.norm_epsilon)
        self.dropout = nn.Dropout(0.0)

    def forward(self, states: Tensor) -> Tensor:
        """``(B, L, D)`` → ``(B, L, D)``."""
        found = self.dropout(self.contract(functional.gelu(self.expand(states))))
        mixed: Tensor = self.norm(states + found)
        return mixed


class HeadTrace(NamedTuple):
    """What the heads of a layer computed.

    ``queries``, ``keys`` and ``values (B, H, L, d)``, and in ``attended`` what ``attend`` made of
    them, with the ``values (B, H, L, d)`` of each head still apart.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    attended: AttentionOutput


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward; each is added to its input and normalised (post-norm)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(config.dimension, config.n_heads)
        self.attention_norm = nn.LayerNorm(config.dimension, config.norm_epsilon)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(0.0)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """``states (B, L, D)``, ``mask (B, 1, 1, L)`` true at real tokens → ``(B, L, D)``."""
        memory = self.attention.project_memory(states)
        return self._take_in(states, self.attention(states, memory, mask).values)

    def forward_packed(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        """``states (N, D)`` of sequences of ``lengths``, one behind the other → ``(N, D)``."""
        return self._take_in(states, self.attention.within(states, lengths))

    def trace(self, states: Tensor) -> tuple[Tensor, HeadTrace]:
        """Compute what ``forward`` does without a mask, and what each head did on the way."""
        queries = self.attention.split_heads(self.attention.query(states))
        keys, values = self.attention.project_memory(states)
        attended = attend(queries, keys, values, mask=None)
        found = self.attention.join_heads(attended.values)
        return self._take_in(states, found), HeadTrace(queries, keys, values, attended)

    def _take_in(self, states: Tensor, found: Tensor) -> Tensor:
        """Add what attention found to the states, then feed forward: ``(B, L, D)``."""
        mixed: Tensor = self.feed_forward(self.attention_norm(states + self.dropout(found)))
        return mixed


class TransformerEncoder(nn.Module):
    """Embeddings and a stack of layers: every token's state has looked at every other token."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.n_layers))

    @property
    def encoder_layers(self) -> list[EncoderLayer]:
        """The layers, typed."""
        return [layer for layer in self.layers if isinstance(layer, EncoderLayer)]

    def forward(
        self, token_ids: Tensor, mask: Tensor | None = None, segment_ids: Tensor | None = None
    ) -> Tensor:
        """``token_ids (B, L)``, ``mask (B, L)`` true at real tokens → states ``(B, L, D)``.

        A CPU is spared the padding; a GPU prefers few large steps to many small ones. States of
        padding mean nothing.
        """
        forward = self.forward_packed if token_ids.device.type == "cpu" else self.forward_padded
        return forward(token_ids, mask, segment_ids)

    def forward_padded(
        self, token_ids: Tensor, mask: Tensor | None = None, segment_ids: Tensor | None = None
    ) -> Tensor:
        """Compute what ``forward`` does for all sequences at once, padding included."""
        states = self._embed(token_ids, segment_ids)
        attention_mask = None if mask is None else mask[:, None, None, :]
        for layer in self.encoder_layers:
            states = layer(states, attention_mask)
        return states

    def forward_packed(
        self, token_ids: Tensor, mask: Tensor | None = None, segment_ids: Tensor | None = None
    ) -> Tensor:
        """Compute what ``forward`` does for the real tokens alone, one behind the other."""
        mask = torch.ones_like(token_ids, dtype=torch.bool) if mask is None else mask
        real = mask.flatten().nonzero().squeeze(1)
        lengths = mask.sum(1).tolist()
        embedded = self._embed(token_ids, segment_ids).flatten(0, 1)
        states = embedded[real]
        for layer in self.encoder_layers:
            states = layer.forward_packed(states, lengths)
        return torch.zeros_like(embedded).index_copy(0, real, states).view(*mask.shape, -1)

    def _embed(self, token_ids: Tensor, segment_ids: Tensor | None) -> Tensor:
        """Embeddings ``(B, L, D)`` in the number format of the layers."""
        states: Tensor = self.embeddings(token_ids, segment_ids)
        return states.to(next(self.layers.parameters()).dtype)

    def trace(self, token_ids: Tensor) -> tuple[Tensor, list[HeadTrace]]:
        """Compute what ``forward`` does without a mask, and what the heads of each layer did."""
        states: Tensor = self.embeddings(token_ids)
        traces = []
        for layer in self.encoder_layers:
            states, trace = layer.trace(states)
            traces.append(trace)
        return states, traces


_BERT_NAMES = (
    (r"^embeddings\.word_embeddings\.", "embeddings.word."),
    (r"^embeddings\.position_embeddings\.", "embeddings.position."),
    (r"^embeddings\.token_type_embeddings\.", "embeddings.segment."),
    (r"^embeddings\.LayerNorm\.", "embeddings.norm."),
    (r"^encoder\.layer\.(\d+)\.attention\.self\.(query|key|value)\.", r"layers.\1.attention.\2."),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"layers.\1.attention.output."),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.", r"layers.\1.attention_norm."),
    (r"^encoder\.layer\.(\d+)\.intermediate\.dense\.", r"layers.\1.feed_forward.expand."),
    (r"^encoder\.layer\.(\d+)\.output\.dense\.", r"layers.\1.feed_forward.contract."),
    (r"^encoder\.layer\.(\d+)\.output\.LayerNorm\.", r"layers.\1.feed_forward.norm."),
)


def from_bert_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a published BERT checkpoint to this module's; others are dropped."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in _BERT_NAMES:
            new_name, found = re.subn(pattern, replacement, name)
            if found:
                renamed[new_name] = tensor
                break
    return renamed
