"""The embedded encoder at work: MiniLM's token states, averaged and normalised.

A test shows that its vectors are those of sentence-transformers; running the network in plain
torch spares the seconds that importing that library takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ragcli.encoder import minilm
from ragcli.encoder.base import EncoderFingerprint, default_fingerprint
from ragcli.encoder.precision import fast_dtype

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

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encodings = self.tokenizer.encode_batch_fast(list(texts))
        limit = minilm.MAX_TOKENS
        tokens = [
            e.ids if len(e.ids) <= limit else [*e.ids[: limit - 1], e.ids[-1]] for e in encodings
        ]
        vectors = np.zeros((len(texts), minilm.DIMENSION), dtype=np.float32)
        with torch.inference_mode():
            for members in _length_batches([len(ids) for ids in tokens]):
                vectors[members] = self._pool([tokens[m] for m in members])
        return vectors

    def _pool(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Mean of the token states of each text, as a unit vector ``(n, 384)``."""
        length = max(map(len, tokens))
        ids = torch.tensor([[*t, *[0] * (length - len(t))] for t in tokens])
        lengths = torch.tensor([len(t) for t in tokens])
        mask = torch.arange(length) < lengths[:, None]
        states = self._network(ids, None if bool(mask.all()) else mask).float()
        means = (states * mask[..., None]).sum(1) / lengths[:, None]
        pooled: NDArray[np.float32] = functional.normalize(means, dim=-1).numpy()
        return pooled


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
