"""``FusionInDecoder``: a small generator whose cross-attention looks at every passage at once.

Each ``[question; passage]`` window is encoded apart (Fusion-in-Decoder, Izacard & Grave 2021,
https://arxiv.org/abs/2007.01282), so cost is linear in the number of passages and a passage can be
taken away exactly. The decoder then attends over the token states of all windows. What it writes is
a mixture of a vocabulary distribution and a copy distribution over passage tokens (See et al. 2017,
https://arxiv.org/abs/1704.04368), and its next input holds the memory state at the position it
copied from, so that going on with a span is easy.

Shapes: B questions, R rows, each the beginning of an answer, T answer tokens, M memory positions,
D dimension, H heads, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from ragcli.encoder.attention import MultiHeadAttention, causal_mask
from ragcli.encoder.transformer import FeedForward, TransformerConfig, TransformerEncoder
from ragcli.errors import UsageError
from ragcli.reader.windows import ReaderBatch

N_SPECIAL = 8
"""Learned tokens that stand behind the WordPiece vocabulary."""
_V = TransformerConfig().vocabulary_size
BEGIN, END, NO_ANSWER, BEGIN_SENTENCE = _V, _V + 1, _V + 2, _V + 3
SHORT, SENTENCE = "short", "sentence"
FORMS = {SHORT: BEGIN, SENTENCE: BEGIN_SENTENCE}
"""Forms of an answer, each with the token that asks for it where the answer begins."""
MAX_ANSWER_TOKENS = 64
BEAMS = {SHORT: 4, SENTENCE: 1}
"""How many beginnings of an answer of each form are carried on by default.

Sentences, which are copied whole, are not better by more.
"""
MAX_BEAMS = 16
"""Most beginnings of an answer that are carried on side by side."""


def opening_of(form: str) -> int:
    """Return the token that asks for a form; raises ``UsageError`` for an unknown one."""
    if form not in FORMS:
        raise UsageError(f"unknown form {form!r}", f"choose one of: {', '.join(FORMS)}")
    return FORMS[form]


def beams_of(form: str, beams: int | None) -> int:
    """Return ``beams``, by default those of the form; raises ``UsageError`` for too many."""
    opening_of(form)
    n_beams = BEAMS[form] if beams is None else beams
    if not 1 <= n_beams <= MAX_BEAMS:
        raise UsageError(f"{beams} beams cannot be followed", f"choose 1 to {MAX_BEAMS}")
    return n_beams


KeysValues = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """Sizes of the reader; ``frozen_layers`` lowest encoder layers stay the pretrained ones."""

    encoder: TransformerConfig = TransformerConfig()
    n_decoder_layers: int = 2
    frozen_layers: int = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """What the decoder looks at: states, and every layer's cross-attention keys and values.

    Of B questions ``states`` and ``copy_keys (B, M, D)``, and ``cross``, one pair ``(B, H, M, d)``
    a decoder layer. ``ids``, ``mask`` and ``copyable (R, M)`` are of R rows, the beginnings of
    answers: as many of each question, one behind the other, which share the rest.
    """

    states: Tensor
    ids: Tensor
    mask: Tensor
    copyable: Tensor
    copy_keys: Tensor
    cross: tuple[KeysValues, ...]

    def of_question(self, row: int, length: int) -> Memory:
        """Return the memory of one question, ``length`` positions long, without padding."""
        return self._each(lambda axis, held: held[row : row + 1].narrow(axis, 0, length))

    def narrow(self, kept: Tensor) -> Memory:
        """Return one question's memory with a row for each mask ``kept (K, M)`` of what is seen."""
        return replace(
            self,
            ids=self.ids.expand(kept.shape),
            mask=self.mask & kept,
            copyable=self.copyable & kept,
        )

    def repeat(self, times: int) -> Memory:
        """Return every row ``times`` times, one behind the other."""
        return replace(
            self,
            ids=self.ids.repeat_interleave(times, 0),
            mask=self.mask.repeat_interleave(times, 0),
            copyable=self.copyable.repeat_interleave(times, 0),
        )

    def join(self, other: Memory) -> Memory:
        """Put the memory of the same question's further windows behind this one."""
        return self._each(lambda axis, held, more: torch.cat((held, more), axis), other)

    def _each(self, change: Callable[..., Tensor], *others: Memory) -> Memory:
        """Apply ``change(axis of the positions, tensor, its like of each of others)`` to all."""
        memories = (self, *others)
        plain = zip(
            *((m.states, m.ids, m.mask, m.copyable, m.copy_keys) for m in memories), strict=True
        )
        states, ids, mask, copyable, copy_keys = (change(1, *tensors) for tensors in plain)
        cross = []
        for layer in zip(*(m.cross for m in memories), strict=True):
            keys, values = (change(2, *tensors) for tensors in zip(*layer, strict=True))
            cross.append((keys, values))
        return Memory(states, ids, mask, copyable, copy_keys, tuple(cross))


@dataclass(frozen=True, slots=True)
class DecoderOutput:
    """One forward pass of the decoder over T positions.

    ``states (R, T, D)``; ``copy_log_probabilities (R, T, M)``, ``-inf`` where nothing can be
    copied; ``gate_logits (R, T)``, positive towards the vocabulary; ``cross_weights`` and
    ``cross_scores`` one ``(R, H, T, M)`` a layer when they were asked for; ``past`` the keys and
    values of self-attention so far.
    """

    states: Tensor
    copy_log_probabilities: Tensor
    gate_logits: Tensor
    past: tuple[KeysValues, ...]
    cross_weights: tuple[Tensor, ...] = ()
    cross_scores: tuple[Tensor, ...] = ()


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention over the memory, feed-forward; post-norm."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(config.dimension, config.n_heads)
        self.self_norm = nn.LayerNorm(config.dimension, config.norm_epsilon)
        self.cross_attention = MultiHeadAttention(config.dimension, config.n_heads)
        self.cross_norm = nn.LayerNorm(config.dimension, config.norm_epsilon)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(0.0)

    def forward(
        self,
        states: Tensor,
        past: KeysValues | None,
        cross: KeysValues,
        memory_mask: Tensor,
        *,
        return_weights: bool,
    ) -> tuple[Tensor, KeysValues, Tensor | None, Tensor | None]:
        """``states (R, T, D)`` → states, self-attention keys and values, weights and scores."""
        present = self.self_attention.project_memory(states)
        if past is not None:
            keys, values = past
            present = torch.cat((keys, present[0]), 2), torch.cat((values, present[1]), 2)
        # With a past, T is 1 and the position may look at everything before it.
        mask = causal_mask(states.shape[1], states.device) if past is None else None
        attended = self.self_attention(states, present, mask).values
        states = self.self_norm(states + self.dropout(attended))
        looked = self.cross_attention(states, cross, memory_mask, return_weights=return_weights)
        states = self.feed_forward(self.cross_norm(states + self.dropout(looked.values)))
        return states, present, looked.weights, looked.scores


class FusionInDecoder(nn.Module):
    """The reader: encoder over windows, decoder over their joint memory, copy and vocabulary."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        dimension = config.encoder.dimension
        self.encoder = TransformerEncoder(config.encoder)
        self.decoder = nn.ModuleList(
            DecoderLayer(config.encoder) for _ in range(config.n_decoder_layers)
        )
        self.special = nn.Embedding(N_SPECIAL, dimension)
        self.position = nn.Embedding(MAX_ANSWER_TOKENS, dimension)
        self.feedback = nn.Linear(dimension, dimension)
        self.input_norm = nn.LayerNorm(dimension, config.encoder.norm_epsilon)
        self.dropout = nn.Dropout(0.0)
        self.copy_query = nn.Linear(dimension, dimension)
        self.copy_key = nn.Linear(dimension, dimension)
        self.gate = nn.Linear(dimension, 1)
        self.vocabulary_map = nn.Linear(dimension, dimension)
        self.vocabulary_norm = nn.LayerNorm(dimension, config.encoder.norm_epsilon)
        self.vocabulary_bias = nn.Parameter(torch.zeros(config.encoder.vocabulary_size + N_SPECIAL))

    @property
    def decoder_layers(self) -> list[DecoderLayer]:
        """The decoder's layers, typed."""
        return [layer for layer in self.decoder if isinstance(layer, DecoderLayer)]

    def encode(self, batch: ReaderBatch) -> Memory:
        """Read the windows of every question into one memory a question."""
        states = torch.cat(
            [
                self.encoder(group.token_ids, group.mask, group.segment_ids).flatten(0, 1)
                for group in batch.groups
            ]
        )
        memory = states[batch.memory_index]
        # What reads the encoder's states may run in its format; the decoder goes on in its own.
        exact = self.copy_query.weight.dtype
        return Memory(
            memory.to(exact),
            batch.memory_ids,
            batch.memory_mask,
            batch.copyable,
            self.copy_key(memory).to(exact),
            tuple(
                # Laid out once, or every decoding step would copy them anew.
                (keys.to(exact).contiguous(), values.to(exact).contiguous())
                for keys, values in (
                    layer.cross_attention.project_memory(memory) for layer in self.decoder_layers
                )
            ),
        )

    def shorten(self, dtype: torch.dtype) -> None:
        """Compute the most expensive parts in ``dtype``, everything that is shown as it was.

        These are the encoder, the keys and values of its states, and the output over the
        vocabulary, whose embeddings are the input's.
        """
        self.encoder.layers.to(dtype)
        self.encoder.embeddings.word.to(dtype)
        self.copy_key.to(dtype)
        for layer in self.decoder_layers:
            layer.cross_attention.key.to(dtype)
            layer.cross_attention.value.to(dtype)

    def value_norms(self, memory: Memory) -> tuple[Tensor, ...]:
        """How much each memory position can contribute to each head, ``(B, H, M)`` a layer."""
        return tuple(
            layer.cross_attention.value_norms(values)
            for layer, (_, values) in zip(self.decoder_layers, memory.cross, strict=True)
        )

    def embed(self, memory: Memory, token_ids: Tensor, copied: Tensor, first: int) -> Tensor:
        """Decoder inputs ``(R, T, D)`` for answer positions ``first, first + 1, ...``.

        ``token_ids (R, T)``; ``copied (R, T)`` the memory position each was copied from, -1 when
        it came from the vocabulary.
        """
        special = token_ids - self.config.encoder.vocabulary_size
        words = torch.where(
            (special >= 0)[..., None],
            self.special(special.clamp(min=0)),
            self.encoder.embeddings.word(token_ids.masked_fill(special >= 0, 0)),
        )
        rows = torch.arange(len(copied), device=copied.device)
        question = rows // (len(copied) // len(memory.states))
        source = memory.states[question[:, None], copied.clamp(min=0)] * (copied >= 0)[..., None]
        positions = self.position.weight[first : first + token_ids.shape[1]]
        inputs = self.input_norm(words + self.feedback(source) + positions)
        embedded: Tensor = self.dropout(inputs)
        return embedded

    def decode(
        self,
        memory: Memory,
        token_ids: Tensor,
        copied: Tensor,
        past: tuple[KeysValues, ...] | None = None,
        *,
        return_weights: bool = False,
    ) -> DecoderOutput:
        """Run the decoder over ``token_ids (R, T)``; with ``past``, over the one next token."""
        first = past[0][0].shape[2] if past else 0
        states = self.embed(memory, token_ids, copied, first).to(memory.states.dtype)
        mask = memory.mask[:, None, None, :]
        presents, weights, scores = [], [], []
        for number, layer in enumerate(self.decoder_layers):
            states, present, layer_weights, layer_scores = layer(
                states,
                past[number] if past else None,
                memory.cross[number],
                mask,
                return_weights=return_weights,
            )
            presents.append(present)
            if layer_weights is not None:
                weights.append(layer_weights)
                scores.append(layer_scores)
        return DecoderOutput(
            states,
            self.copy_distribution(memory, states),
            self.gate(states).squeeze(-1).float(),
            tuple(presents),
            tuple(weights),
            tuple(scores),
        )

    def copy_distribution(self, memory: Memory, states: Tensor) -> Tensor:
        """Return the log-probability ``(R, T, M)`` of copying each passage token.

        One scaled dot product and one softmax over all passages together, so that passages compete.
        """
        queries = self.copy_query(states).reshape(len(memory.copy_keys), -1, states.shape[-1])
        scores = queries @ memory.copy_keys.transpose(1, 2)
        scores = scores.view(*states.shape[:2], -1).float() / states.shape[-1] ** 0.5
        # A large finite score keeps a question without any passage token free of NaN.
        scores = scores.masked_fill(~memory.copyable[:, None, :], -1e9)
        return functional.log_softmax(scores, dim=-1)

    def vocabulary_logits(self, states: Tensor) -> Tensor:
        """``states (..., D)`` → ``(..., V + special)``; output embeddings are the input ones."""
        mapped = self.vocabulary_norm(functional.gelu(self.vocabulary_map(states)))
        embeddings = self.encoder.embeddings.word.weight
        words = functional.linear(mapped.to(embeddings.dtype), embeddings)
        special = functional.linear(mapped, self.special.weight)
        logits: Tensor = torch.cat((words, special), -1).float() + self.vocabulary_bias
        return logits
