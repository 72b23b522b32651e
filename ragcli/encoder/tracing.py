"""A text's way through the embedded encoder, with everything that its attention heads computed.

The network is the one that searches, in float32 and by the written-out ``attend``: the mean of the
states that come out, normalised, is the text's vector.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ragcli.encoder import minilm
from ragcli.encoder.base import EncoderFingerprint, default_fingerprint
from ragcli.errors import UsageError
from ragcli.records import EncoderToken


@dataclass(frozen=True, slots=True)
class EncoderTrace:
    """All of a text's self-attention: L layers, H heads, n tokens, d = D / H. Arrays are float32.

    ``queries``, ``keys``, ``values`` and ``outputs (L, H, n, d)``; ``scores`` before softmax and
    ``weights`` after it, ``(L, H, n, n)``: row t is what token t looks at, and sums to 1;
    ``states (n, D)`` come out of the last layer.
    """

    fingerprint: EncoderFingerprint
    tokens: tuple[EncoderToken, ...]
    queries: NDArray[np.float32]
    keys: NDArray[np.float32]
    values: NDArray[np.float32]
    scores: NDArray[np.float32]
    weights: NDArray[np.float32]
    outputs: NDArray[np.float32]
    states: NDArray[np.float32]


def trace_text(text: str) -> EncoderTrace:
    """Encode one text and keep what every head did.

    Raises ``UsageError`` for a text without words or with more tokens than the encoder reads, and
    ``ModelError`` for weights that cannot be loaded.
    """
    ids, tokens = _read(text)
    with torch.inference_mode():
        states, traces = minilm.load_transformer().trace(torch.tensor([ids]))
    return EncoderTrace(
        default_fingerprint(),
        tokens,
        _stack(trace.queries for trace in traces),
        _stack(trace.keys for trace in traces),
        _stack(trace.values for trace in traces),
        _stack(trace.attended.scores for trace in traces),
        _stack(trace.attended.weights for trace in traces),
        _stack(trace.attended.values for trace in traces),
        states[0].numpy(),
    )


def _read(text: str) -> tuple[list[int], tuple[EncoderToken, ...]]:
    encoding = minilm.load_tokenizer().encode(text)
    n = len(encoding.ids)
    if n > minilm.MAX_TOKENS:
        raise UsageError(
            f"the text has {n} tokens, but the encoder reads at most {minilm.MAX_TOKENS}",
            "give it a shorter one, such as one sentence or passage",
        )
    fields = zip(encoding.tokens, encoding.offsets, encoding.word_ids, strict=True)
    tokens = tuple(EncoderToken(token, *span, word) for token, span, word in fields)
    if all(token.word is None for token in tokens):
        raise UsageError("the text has no words", "give it a sentence")
    return encoding.ids, tokens


def _stack(layers: Iterable[Tensor | None]) -> NDArray[np.float32]:
    """One array of what each layer has for the only text of its batch."""
    return np.stack([layer[0].numpy() for layer in layers if layer is not None])
