"""The embedded encoder at work: MiniLM's token states, averaged and normalised.

A test shows that its vectors are those of sentence-transformers; running the network in plain
torch spares the seconds that importing that library takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ragcli.encoder import minilm
from ragcli.encoder.base import EncoderFingerprint, TokenStates, default_fingerprint
from ragcli.encoder.precision import fast_dtype

_Token = TypeVar("_Token")

BATCH_TOKENS = 2048
"""Padded tokens encoded at once: enough to keep the processor busy, small enough for its cache."""


class EmbeddedEncoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020, https://arxiv.org/abs/2002.10957), mean-pooled."""

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        self.fingerprint: EncoderFingerprint = default_fingerprint()
        self.tokenizer = minilm.load_tokenizer()
        self._dtype = dtype or fast_dtype()
        self._network = minilm.load_transformer().to(self._dtype)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode queries: ``(n, 384) float32``, L2-normalised."""
        return self._encode(texts)

    def encode_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode passages: ``(n, 384) float32``, L2-normalised; cut at 256 tokens."""
        return self._encode(texts)

    def encode_tokens(self, texts: Sequence[str]) -> list[TokenStates]:
        """Encode texts token by token; cut at 256 tokens."""
        encodings = self.tokenizer.encode_batch(list(texts))
        tokens = [_cut(encoding.ids) for encoding in encodings]
        found: dict[int, TokenStates] = {}
        with torch.inference_mode():
            for members in _length_batches([len(ids) for ids in tokens]):
                states, _ = self._states([tokens[m] for m in members])
                units = functional.normalize(states, dim=-1).numpy()
                for row, member in enumerate(members):
                    spans = np.array(_cut(encodings[member].offsets), dtype=np.int32)
                    found[member] = TokenStates(units[row, : len(spans)], spans.reshape(-1, 2))
        return [found[member] for member in range(len(texts))]

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = [_cut(e.ids) for e in self.tokenizer.encode_batch_fast(list(texts))]
        vectors = np.zeros((len(texts), minilm.DIMENSION), dtype=np.float32)
        with torch.inference_mode():
            for members in _length_batches([len(ids) for ids in tokens]):
                states, mask = self._states([tokens[m] for m in members])
                means = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
                vectors[members] = functional.normalize(means, dim=-1).numpy()
        return vectors

    def _states(self, tokens: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token states ``(B, L, 384) float32`` of texts, and a mask ``(B, L)`` of real tokens."""
        length = max(map(len, tokens))
        ids = torch.tensor([[*t, *[0] * (length - len(t))] for t in tokens])
        lengths = torch.tensor([len(t) for t in tokens])
        mask = torch.arange(length) < lengths[:, None]
        # Of similar lengths, little is padded; sparing it made ever new shapes to be compiled.
        states = self._network.forward_padded(ids, None if bool(mask.all()) else mask)
        return states.float(), mask


def _cut(tokens: list[_Token]) -> list[_Token]:
    """No more tokens than the network was trained for; the last, a special one, stays."""
    limit = minilm.MAX_TOKENS
    return tokens if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]


def _length_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield positions in batches of similar length, so that little is padded."""
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[position] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
