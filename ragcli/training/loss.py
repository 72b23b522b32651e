"""The reader's loss: how unlikely it finds the wanted answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ragcli.reader.model import FusionInDecoder
from ragcli.reader.windows import ReaderBatch

_NOTHING = -1e9


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Questions with their wanted answers.

    ``inputs (B, T)`` decoder input tokens, ``copied (B, T)`` the memory position each was copied
    from (-1: none), ``targets (B, T)`` wanted tokens, -1 behind the end. ``gold (B, T, M)`` is true
    at the positions from which the target is to be copied; where none is, any way of writing the
    target will do. ``copy_at`` and ``free_at`` are the numbers of the flattened answer positions of
    the one and the other kind.
    """

    reading: ReaderBatch
    inputs: Tensor
    copied: Tensor
    targets: Tensor
    gold: Tensor
    copy_at: Tensor
    free_at: Tensor

    @property
    def n_tokens(self) -> int:
        """Tokens of all windows."""
        return int(self.reading.memory_mask.sum())

    def to(self, device: torch.device) -> TrainingBatch:
        """Return the same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> TrainingBatch:
        """Return the same batch in memory that a GPU can read while the CPU goes on."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> TrainingBatch:
        plain = (self.inputs, self.copied, self.targets, self.gold, self.copy_at, self.free_at)
        return TrainingBatch(self.reading.map(change), *map(change, plain))


def answer_loss(reader: FusionInDecoder, batch: TrainingBatch) -> Tensor:
    """Mean negative log-likelihood of an answer token (natural log), a scalar.

    A token that stands in a passage must be *copied from there*: −log(1 − g) − log(copy mass on
    the gold positions). Any other token has the likelihood of the mixture,
    g · p_vocabulary + (1 − g) · Σ copy mass where the passage has that token.
    """
    memory = reader.encode(batch.reading)
    output = reader.decode(memory, batch.inputs, batch.copied)
    gate = output.gate_logits.flatten()
    copies = output.copy_log_probabilities.flatten(0, 1)

    at = batch.copy_at
    gold = batch.gold.flatten(0, 1)[at]
    copied = copies[at].masked_fill(~gold, _NOTHING).logsumexp(-1)
    copy_loss = -(functional.logsigmoid(-gate[at]) + copied)

    at = batch.free_at
    logits = reader.vocabulary_logits(output.states.flatten(0, 1)[at])
    wanted = batch.targets.flatten()[at]
    written = functional.log_softmax(logits, -1).gather(1, wanted[:, None]).squeeze(1)
    rows = at // batch.targets.shape[1]
    elsewhere = (memory.ids[rows] == wanted[:, None]) & memory.copyable[rows]
    found = copies[at].masked_fill(~elsewhere, _NOTHING).logsumexp(-1)
    free_loss = -torch.logaddexp(
        functional.logsigmoid(gate[at]) + written, functional.logsigmoid(-gate[at]) + found
    )
    return torch.cat((copy_loss, free_loss)).mean()
