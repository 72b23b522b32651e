"""The reader's loss: how unlikely it finds the wanted answer."""

from __future__ import annotations

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
    target will do.
    """

    reading: ReaderBatch
    inputs: Tensor
    copied: Tensor
    targets: Tensor
    gold: Tensor

    def to(self, device: torch.device) -> TrainingBatch:
        """Return the same batch on another device."""
        moved = (t.to(device) for t in (self.inputs, self.copied, self.targets, self.gold))
        return TrainingBatch(self.reading.to(device), *moved)


def answer_loss(reader: FusionInDecoder, batch: TrainingBatch) -> Tensor:
    """Mean negative log-likelihood of an answer token (natural log), a scalar.

    A token that stands in a passage must be *copied from there*: −log(1 − g) − log(copy mass on
    the gold positions). Any other token has the likelihood of the mixture,
    g · p_vocabulary + (1 − g) · Σ copy mass where the passage has that token.
    """
    memory = reader.encode(batch.reading)
    output = reader.decode(memory, batch.inputs, batch.copied)
    real = batch.targets >= 0
    is_copy = batch.gold.any(-1) & real
    is_free = real & ~is_copy
    log_vocabulary_gate = functional.logsigmoid(output.gate_logits)
    log_copy_gate = functional.logsigmoid(-output.gate_logits)

    copied = output.copy_log_probabilities.masked_fill(~batch.gold, _NOTHING).logsumexp(-1)
    copy_loss = -(log_copy_gate + copied)[is_copy]

    logits = reader.vocabulary_logits(output.states[is_free])
    wanted = batch.targets[is_free]
    written = functional.log_softmax(logits, -1).gather(1, wanted[:, None]).squeeze(1)
    rows = is_free.nonzero()[:, 0]
    elsewhere = (memory.ids[rows] == wanted[:, None]) & memory.copyable[rows]
    found = output.copy_log_probabilities[is_free].masked_fill(~elsewhere, _NOTHING).logsumexp(-1)
    free_loss = -torch.logaddexp(
        log_vocabulary_gate[is_free] + written, log_copy_gate[is_free] + found
    )
    return torch.cat((copy_loss, free_loss)).mean()
