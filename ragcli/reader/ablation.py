"""How likely an answer is when a part of what was read is taken away.

Passages are encoded apart, so a passage that is hidden from the decoder is gone exactly, and all
such ablations share one encoding. Hiding a sentence inside a passage is an approximation: the
tokens around it have seen it. Reading the passage anew without it is exact, and dearer.
Shapes: K ablations, M memory positions, T answer tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ragcli.reader.copying import sentence_rules
from ragcli.reader.decoding import mixture, place
from ragcli.reader.model import BEGIN, BEGIN_SENTENCE, END, FusionInDecoder, KeysValues, Memory
from ragcli.reader.windows import collate

if TYPE_CHECKING:
    from ragcli.reader.windows import Window

LEAST = -100.0
"""Log-probability of an answer of which nothing can be read any more."""
_NO_SPANS = np.zeros((0, 2), dtype=np.int32)
_TOGETHER = 64
"""Ablations decoded at once."""


class AnsweredMemory:
    """One question's memory with the answer that was written from it.

    ``memory`` is of this one question and its ``windows``; ``token_ids`` are the answer's, without
    the end token, ``opening`` is the token that asked for its form, ``beams`` how many beginnings
    of it were carried on side by side. ``texts`` are the contexts, which tell where
    sentences begin and end.
    """

    def __init__(
        self,
        network: FusionInDecoder,
        memory: Memory,
        windows: Sequence[Window],
        token_ids: NDArray[np.int64],
        *,
        opening: int = BEGIN,
        beams: int = 1,
        texts: Sequence[str],
    ) -> None:
        self.network = network
        self.memory = memory
        self.windows = tuple(windows)
        self.token_ids = token_ids
        self.opening = opening
        self.beams = beams
        self.texts = tuple(texts)
        lengths = [len(window) for window in windows]
        self._contexts = np.repeat([window.context for window in windows], lengths)
        self._spans = np.vstack([_NO_SPANS, *(window.spans for window in windows)])

    def everything(self) -> NDArray[np.bool_]:
        """All memory positions ``(M,)``."""
        return np.ones(len(self._contexts), dtype=np.bool_)

    def without_contexts(self, removed: Sequence[int]) -> NDArray[np.bool_]:
        """Memory positions ``(M,)`` that stay when whole contexts are removed; exact."""
        kept: NDArray[np.bool_] = ~np.isin(self._contexts, removed)
        return kept

    def without_span(self, context: int, start: int, end: int) -> NDArray[np.bool_]:
        """Memory positions ``(M,)`` that stay when characters of a context are hidden."""
        inside = (self._spans[:, 0] < end) & (self._spans[:, 1] > start)
        kept: NDArray[np.bool_] = ~((self._contexts == context) & inside)
        return kept

    def is_readable(self, kept: NDArray[np.bool_]) -> bool:
        """Whether the mask ``(M,)`` leaves anything of a passage."""
        return bool((self.memory.copyable[0].numpy() & kept).any())

    def with_context(self, windows: Sequence[Window], text: str) -> AnsweredMemory:
        """Return the same with one context more, the last, whose ``text`` makes these windows."""
        memory = self.memory
        if windows:
            with torch.inference_mode():
                memory = memory.join(self.network.encode(collate([windows])))
        return AnsweredMemory(
            self.network,
            memory,
            [*self.windows, *windows],
            self.token_ids,
            opening=self.opening,
            beams=self.beams,
            texts=[*self.texts, text],
        )

    def log_probabilities(self, kept: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
        """Natural log-probability ``(K,)`` of the whole answer, its end included, for each mask.

        ``kept`` are masks ``(M,)`` of what the decoder may look at. Where they leave no passage,
        the answer has ``LEAST``.
        """
        masks = np.stack(kept)
        likelihoods = np.full(len(masks), LEAST)
        copyable = self.memory.copyable[0].numpy()
        readable = np.flatnonzero((masks & copyable).any(axis=1))
        for first in range(0, len(readable), _TOGETHER):
            some = readable[first : first + _TOGETHER]
            with torch.inference_mode():
                found = _force(self, masks[some])
            likelihoods[some] = np.maximum(found, LEAST)
        return likelihoods


def _force(answered: AnsweredMemory, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Make the decoder write the answer under each mask ``(K, M)``; log-probabilities ``(K,)``."""
    network = answered.network
    narrowed = answered.memory.narrow(torch.from_numpy(kept))
    n_masks = len(kept)
    token_ids = torch.full((n_masks,), answered.opening)
    sources = torch.full((n_masks,), -1)
    total = torch.zeros(n_masks, dtype=torch.float64)
    past: tuple[KeysValues, ...] | None = None
    rules = None
    if answered.opening == BEGIN_SENTENCE:
        n_positions = narrowed.ids.shape[1]
        rules = sentence_rules([answered.windows], [answered.texts], n_positions).repeat(n_masks)
    for number, wanted in enumerate([*answered.token_ids.tolist(), END]):
        output = network.decode(narrowed, token_ids[:, None], sources[:, None], past)
        past = output.past
        gate = output.gate_logits[:, -1:].sigmoid()
        copied = output.copy_log_probabilities[:, -1].exp() * (1 - gate) * narrowed.copyable
        if rules is not None:
            copied = rules.allow(copied, sources, opening=number == 0)
        token_ids = torch.full((n_masks,), wanted)
        chances = mixture(network, narrowed, output, copied)
        likelihood = chances.gather(1, token_ids[:, None]).squeeze(1)
        total += likelihood.double().clamp(min=1e-30).log()
        sources = place(narrowed, copied, token_ids, likelihood, sources)
    return total.numpy()
