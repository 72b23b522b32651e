"""Decoding: token by token, the likeliest answer under the mixture, each token with its source.

With one beam, decoding is greedy: the likeliest token at each step. With more, the likeliest
beginnings of each answer are carried on side by side, and the whole answer that is likeliest wins.
Keys and values of earlier tokens are kept, so a step runs over one token only.
A token that is copied keeps the memory position it was copied from. When the position right behind
the last copied one holds the chosen token and is nearly as likely as the best, it is taken: a span
then goes on where it began instead of jumping to another mention of the same word. Words, or whole
sentences, are not torn: see ``copying``. No position is copied twice, so an answer cannot go
round in circles.
Shapes: B questions, R = B · beams rows, each the beginning of an answer, T answer tokens, M memory
positions, H heads, V vocabulary with specials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ragcli.reader.copying import CopyRules
from ragcli.reader.model import (
    BEGIN,
    END,
    MAX_ANSWER_TOKENS,
    NO_ANSWER,
    DecoderOutput,
    FusionInDecoder,
    KeysValues,
    Memory,
)

NEAR = 0.2
"""The next position is taken when its weight is at least this share of the best one's."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The raw answer to one question.

    ``token_ids (T,)``, ``sources (T,)`` memory positions (-1: vocabulary), ``log_probabilities``
    and ``copy_gate (T,)``, ``copy (T, M)``, ``cross_attention`` and ``pre_softmax``
    ``(layers, H, T, M)``; the end token is not among the T.
    """

    token_ids: NDArray[np.int64]
    sources: NDArray[np.int64]
    log_probabilities: NDArray[np.float32]
    copy_gate: NDArray[np.float32]
    copy: NDArray[np.float32]
    cross_attention: NDArray[np.float32]
    pre_softmax: NDArray[np.float32]
    p_no_answer: float


@dataclass(frozen=True, slots=True)
class _Step:
    """What one decoding step chose, a row each, and what the rows before it looked at.

    ``parents (R,)`` are the rows before it that ``token_ids (R,)`` go on from.
    """

    token_ids: Tensor
    sources: Tensor
    log_probabilities: Tensor
    parents: Tensor
    copy_gate: Tensor
    copy: Tensor
    cross_attention: Tensor
    pre_softmax: Tensor


def begin(reader: FusionInDecoder, memory: Memory, opening: int) -> DecoderOutput:
    """Run the decoder over the ``opening`` token alone, where every answer of that form starts."""
    token_ids = torch.full((len(memory.ids), 1), opening)
    return reader.decode(memory, token_ids, torch.full_like(token_ids, -1))


def decode(
    reader: FusionInDecoder,
    memory: Memory,
    rules: CopyRules,
    max_answer_tokens: int,
    *,
    opening: int = BEGIN,
    beams: int = 1,
) -> list[Decoded]:
    """Write an answer of at most ``max_answer_tokens`` for every row of a memory.

    ``rules`` tell what may be copied, ``opening`` is the token that asks for the form of the
    answer. Of each row the ``beams`` likeliest beginnings are carried on. Neither these nor the
    answer depend on the other rows.
    """
    n_questions = len(memory.ids)
    token_ids = torch.full((n_questions,), opening)
    sources = torch.full((n_questions,), -1)
    scores = torch.zeros(n_questions)
    taken = torch.zeros_like(memory.copyable)
    p_no_answer = torch.zeros(n_questions)
    past: tuple[KeysValues, ...] | None = None
    steps: list[_Step] = []
    for number in range(min(max_answer_tokens, MAX_ANSWER_TOKENS)):
        output = reader.decode(
            memory, token_ids[:, None], sources[:, None], past, return_weights=True
        )
        gate = output.gate_logits[:, -1:].sigmoid()
        copied = output.copy_log_probabilities[:, -1].exp() * (1 - gate)
        copied = rules.allow(copied, sources, opening=number == 0) * ~taken
        if number == 0:
            copied = one_beginning(copied, memory.ids)
        chances = mixture(reader, memory, output, copied)
        if number == 0:
            p_no_answer = chances[:, NO_ANSWER].clone()
            chances[:, END] = 0.0
        chances[:, NO_ANSWER] = 0.0
        _go_on(chances, memory.ids, rules.continues, sources)
        _stay_finished(chances, token_ids)
        likelihood, chosen, parents, scores = _extend(chances, scores, n_questions, beams)
        if number == 0 and beams > 1:
            memory, rules = memory.repeat(beams), rules.repeat(beams)
        sources = place(memory, copied[parents], chosen, likelihood, sources[parents])
        token_ids = chosen
        steps.append(_step(output, token_ids, sources, likelihood, parents))
        # Scores only fall: the best row, once finished, stays the best.
        if bool((token_ids[::beams] == END).all()):
            break
        past = tuple((keys[parents], values[parents]) for keys, values in output.past)
        taken = taken[parents] | _one_hot(sources, taken.shape[1])
    return [_collect(steps, b * beams, float(p_no_answer[b])) for b in range(n_questions)]


def _extend(
    chances: Tensor, scores: Tensor, n_questions: int, beams: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Go on from every row with its likeliest tokens and keep the best ``beams`` of a question.

    ``chances (rows, V)`` and the rows' log-probabilities ``scores (rows,)`` → of the new rows, the
    best of a question first: likelihood of the token, token, row it goes on from, score. All (R,).
    """
    likelihoods, tokens = chances.topk(beams)
    n_before = len(scores) // n_questions
    totals = (scores[:, None] + likelihoods.log()).view(n_questions, n_before * beams)
    best, at = totals.topk(beams)
    first_rows = torch.arange(n_questions)[:, None] * n_before
    candidates = (first_rows * beams + at).flatten()
    return (
        likelihoods.flatten()[candidates],
        tokens.flatten()[candidates],
        candidates // beams,
        best.flatten(),
    )


def one_beginning(copied: Tensor, ids: Tensor) -> Tensor:
    """Leave of each token the mentions where one answer may begin: the likeliest together.

    Mentions that go on with the same next token begin the same answer; others, as of an article,
    begin another, which does not make this one likelier. ``copied`` and ``ids (B, M)``.
    """
    following = torch.cat((ids[:, 1:], ids[:, -1:]), 1)
    questions = torch.arange(len(ids))[:, None]
    n_tokens = int(ids.max()) + 1
    texts = (questions * n_tokens + ids) * n_tokens + following
    _, text = torch.unique(texts, return_inverse=True)
    mass = torch.zeros(text.numel()).scatter_add(0, text.flatten(), copied.flatten())
    together = mass[text]
    best = torch.zeros(len(ids), n_tokens).scatter_reduce(1, ids, together, "amax")
    return copied * (together >= best.gather(1, ids))


def _stay_finished(chances: Tensor, token_ids: Tensor) -> None:
    """Let the end of an answer be followed by itself alone; ``chances`` are changed in place."""
    finished = token_ids == END
    chances[finished] = 0.0
    chances[finished, END] = 1.0


def _one_hot(positions: Tensor, n_positions: int) -> Tensor:
    """``positions (R,)`` → ``(R, M)``, true there; nowhere for -1."""
    return functional.one_hot(positions + 1, n_positions + 1)[:, 1:].bool()


def _go_on(chances: Tensor, ids: Tensor, continues: Tensor, previous: Tensor) -> None:
    """Leave only the next position's token where what was copied last goes on there.

    ``chances (B, V)`` are changed in place; ``previous (B,)`` are the positions copied last.
    """
    following = (previous + 1).clamp(max=continues.shape[1] - 1)[:, None]
    goes_on = (previous >= 0) & continues.gather(1, following).squeeze(1)
    token_ids = ids.gather(1, following)
    likelihood = chances.gather(1, token_ids).clamp(min=torch.finfo(chances.dtype).tiny)
    only = torch.zeros_like(chances).scatter(1, token_ids, likelihood)
    chances[goes_on] = only[goes_on]


def mixture(
    reader: FusionInDecoder, memory: Memory, output: DecoderOutput, copied: Tensor
) -> Tensor:
    """Probability ``(B, V)`` of each next token, written or ``copied (B, M)``."""
    gate = output.gate_logits[:, -1:].sigmoid()
    written = reader.vocabulary_logits(output.states[:, -1]).softmax(-1) * gate
    return written.scatter_add(1, memory.ids, copied)


def _step(
    output: DecoderOutput, token_ids: Tensor, sources: Tensor, likelihood: Tensor, parents: Tensor
) -> _Step:
    return _Step(
        token_ids,
        sources,
        likelihood.clamp(min=1e-12).log(),
        parents,
        1 - output.gate_logits[:, -1].sigmoid(),
        output.copy_log_probabilities[:, -1].exp(),
        torch.stack([w[:, :, -1] for w in output.cross_weights], 1),
        torch.stack([s[:, :, -1] for s in output.cross_scores], 1),
    )


def place(
    memory: Memory, copied: Tensor, token_ids: Tensor, likelihood: Tensor, previous: Tensor
) -> Tensor:
    """Memory position ``(B,)`` that each token comes from; -1 if it is rather written than copied.

    ``copied (B, M)`` are the probabilities of copying, ``likelihood (B,)`` those of the tokens,
    ``previous (B,)`` the positions before.
    """
    matching = torch.where(memory.ids == token_ids[:, None], copied, 0.0)
    best, position = matching.max(-1)
    following = (previous + 1).clamp(max=copied.shape[1] - 1)
    next_weight = matching.gather(1, following[:, None]).squeeze(1)
    goes_on = (previous >= 0) & (next_weight > 0) & (next_weight >= NEAR * best)
    position = torch.where(goes_on, following, position)
    is_copied = matching.sum(-1) >= 0.5 * likelihood
    return torch.where(is_copied, position, -1)


def _collect(steps: list[_Step], row: int, p_no_answer: float) -> Decoded:
    """Follow a last row back to where its answer begins, and gather it up to its end token."""
    path: list[tuple[_Step, int, int]] = []
    for step in reversed(steps):
        parent = int(step.parents[row])
        if int(step.token_ids[row]) != END:
            path.insert(0, (step, row, parent))
        row = parent

    def looked(name: str, axis: int = 0) -> NDArray[np.float32]:
        parts = [getattr(step, name)[parent].float().numpy() for step, _, parent in path]
        return np.stack(parts, axis)

    return Decoded(
        np.array([int(step.token_ids[row]) for step, row, _ in path]),
        np.array([int(step.sources[row]) for step, row, _ in path]),
        np.array([float(step.log_probabilities[row]) for step, row, _ in path], np.float32),
        looked("copy_gate"),
        looked("copy"),
        looked("cross_attention", 2),
        looked("pre_softmax", 2),
        p_no_answer,
    )
