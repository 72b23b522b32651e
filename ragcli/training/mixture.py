"""Training batches: examples → rows of windows, drawn at random → tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ragcli.errors import InputError
from ragcli.reader.model import BEGIN, BEGIN_SENTENCE, END, NO_ANSWER
from ragcli.reader.windows import (
    GROUP_TOKENS,
    OVERLAP_TOKENS,
    TokenisedText,
    Window,
    collate,
    make_window,
    split_windows,
)
from ragcli.training.data import MAX_ANSWER, DataSet, Example, Range
from ragcli.training.loss import TrainingBatch


@dataclass(frozen=True, slots=True)
class MixConfig:
    """How rows are made of examples.

    ``passages[n - 1]`` is the weight of rows of n passages, ``no_answer`` the share of rows from
    which the gold passage is taken away, ``altered`` the share of those whose question is altered
    so that the gold passage does not answer it, ``sentences`` the share of those that want the
    sentence around the answer instead of it, ``whole`` the share of those whose passages are read
    whole, in as many windows as reading them would take, where other rows have one window of each
    passage. ``batch_tokens`` are the window tokens of one step, ``group_tokens`` how many of them
    are encoded at once. The longest window is drawn for each row between ``shortest_window`` and
    ``window_tokens``: all passages of a row have the same, or their lengths would tell which one is
    gold.
    """

    passages: tuple[float, ...] = (1.0,)
    no_answer: float = 0.0
    altered: float = 0.0
    sentences: float = 0.0
    whole: float = 0.0
    window_tokens: int = 192
    shortest_window: int = 96
    batch_tokens: int = 2500
    group_tokens: int = GROUP_TOKENS


class Occurrence(NamedTuple):
    """Where a wanted answer stands: tokens ``[start, end)`` of a row's window."""

    window: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a batch: windows, and the answer that is wanted of them.

    ``begin`` is the token that asks for the form of the answer. It is copied from ``occurrences``,
    of which number ``chosen`` is written to its end; where there is none, ``answer_ids`` are
    written; where they are none either, the windows do not answer the question.
    """

    begin: int
    windows: tuple[Window, ...]
    occurrences: tuple[Occurrence, ...] = ()
    answer_ids: tuple[int, ...] = ()
    chosen: int = 0


def make_row(data: DataSet, example: Example, mix: MixConfig, rng: np.random.Generator) -> Row:
    """Draw the passages of one row and the windows of each."""
    weights = np.array(mix.passages)
    n_passages = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
    absent = bool(example.negatives) and rng.random() < mix.no_answer
    n_negatives = min(n_passages - (not absent), len(example.negatives))
    # Half of the negatives come from the hardest few, the others from all of them.
    pool = example.negatives[: max(n_negatives, 4)] if rng.random() < 0.5 else example.negatives
    picked = [int(n) for n in rng.choice(pool, n_negatives, replace=False)] if n_negatives else []
    limit = int(rng.integers(mix.shortest_window, mix.window_tokens + 1))
    question = example.question
    is_altered = bool(example.altered) and not absent and rng.random() < mix.altered
    if is_altered:
        question = example.altered[int(rng.integers(len(example.altered)))]
    whole = rng.random() < mix.whole
    read = [_windows(data.passages[n], question, n, limit, rng, whole=whole) for n in picked]
    at = int(rng.integers(len(read) + 1))
    before = list(chain.from_iterable(read[:at]))
    after = list(chain.from_iterable(read[at:]))
    chosen = int(rng.integers(len(example.occurrences))) if example.occurrences else 0
    sentence = example.sentences[chosen] if example.sentences else None
    wants_sentence = sentence is not None and rng.random() < mix.sentences
    begin = BEGIN_SENTENCE if wants_sentence else BEGIN
    if absent:
        return Row(begin, (*before, *after))
    wanted = (sentence,) if wants_sentence and sentence else example.occurrences
    focus = wanted[0 if wants_sentence else chosen] if wanted else None
    passage = data.passages[example.gold]
    gold = _windows(passage, question, example.gold, limit, rng, whole=whole, focus=focus)
    windows = (*before, *gold, *after)
    if is_altered:
        return Row(begin, windows)
    found = [
        (place, Occurrence(number, *tokens))
        for place in wanted
        for number, window in enumerate(gold, len(before))
        if (tokens := _tokens_in(window, place))
    ]
    of_focus = [i for i, (place, _) in enumerate(found) if place == focus]
    return Row(
        begin,
        windows,
        tuple(occurrence for _, occurrence in found),
        example.answer_ids,
        int(rng.choice(of_focus)) if of_focus else 0,
    )


def _tokens_in(window: Window, place: Range) -> Range | None:
    """Tokens of the window that are the passage's tokens ``place``; ``None`` if it lacks any."""
    shift = window.passage_start - window.first_token
    start, end = place[0] + shift, place[1] + shift
    return (start, end) if start >= window.passage_start and end < len(window) else None


def _windows(
    passage: TokenisedText,
    question: NDArray[np.int32],
    number: int,
    limit: int,
    rng: np.random.Generator,
    *,
    whole: bool,
    focus: Range | None = None,
) -> list[Window]:
    """Windows of a passage: all of them, or one that is cut at random around ``focus``."""
    outside = len(question) + 3
    if whole:
        windows = split_windows(question, passage, number, max(limit, outside + 2 * OVERLAP_TOKENS))
        if focus is None or any(_tokens_in(window, focus) for window in windows):
            return windows
    start, end = _cut_around(passage, focus, max(limit - outside, MAX_ANSWER), rng)
    return [make_window(question, passage, start, end, number)]


def _cut_around(
    passage: TokenisedText, focus: Range | None, room: int, rng: np.random.Generator
) -> Range:
    """Tokens ``[start, end)`` of a window of ``room`` tokens cut at random, ``focus`` within it."""
    length = len(passage.ids)
    low, high = 0, max(length - room, 0)
    if focus is not None:
        room = max(room, focus[1] - focus[0])
        high = max(length - room, 0)
        low, high = max(focus[1] - room, 0), min(focus[0], high)
    start = int(rng.integers(low, max(high, low) + 1))
    return start, min(start + room, length)


def training_batch(rows: Sequence[Row], group_tokens: int = GROUP_TOKENS) -> TrainingBatch:
    """Collate rows; see ``TrainingBatch`` for the shapes and ``collate`` for ``group_tokens``."""
    reading = collate([row.windows for row in rows], group_tokens)
    answers = [_answer(row, reading.window_starts[b]) for b, row in enumerate(rows)]
    length = max(len(targets) for targets, _, _ in answers)
    shape = (len(rows), length)
    inputs = torch.full(shape, BEGIN)
    inputs[:, 0] = torch.tensor([row.begin for row in rows])
    copied = torch.full(shape, -1)
    targets = torch.full(shape, -1)
    gold = torch.zeros(*shape, reading.memory_ids.shape[1], dtype=torch.bool)
    for b, (wanted, sources, first) in enumerate(answers):
        n = len(wanted)
        targets[b, :n] = torch.tensor(wanted)
        inputs[b, 1:n] = torch.tensor(wanted[:-1], dtype=torch.int64)
        copied[b, 1 : len(sources) + 1] = torch.tensor(sources, dtype=torch.int64)
        for t, source in enumerate(sources):
            gold[b, t, [source] if t else first] = True
    is_copy = gold.any(-1).flatten()
    is_free = (targets >= 0).flatten() & ~is_copy
    positions = (is_copy.nonzero().squeeze(1), is_free.nonzero().squeeze(1))
    return TrainingBatch(reading, inputs, copied, targets, gold, *positions)


def _answer(row: Row, starts: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Wanted tokens, memory positions to copy them from, all positions for the first of them."""
    if row.occurrences:
        window, start, end = row.occurrences[row.chosen]
        ids = row.windows[window].token_ids[start:end].tolist()
        sources = [starts[window] + position for position in range(start, end)]
        return [*ids, END], sources, [starts[o.window] + o.start for o in row.occurrences]
    return [*row.answer_ids, END] if row.answer_ids else [NO_ANSWER], [], []


@dataclass(frozen=True, slots=True)
class Mixture:
    """Data sets with the share of each that one pass goes through (2.0: twice)."""

    sets: tuple[DataSet, ...]
    passes: tuple[float, ...]

    def order(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Pairs of data set and example number for one pass, shuffled."""
        picked: list[tuple[int, int]] = []
        for number, (data, share) in enumerate(zip(self.sets, self.passes, strict=True)):
            n = len(data.examples)
            for part in range(int(np.ceil(share))):
                size = round(n * min(share - part, 1.0))
                picked += [(number, int(e)) for e in rng.permutation(n)[:size]]
        return [picked[i] for i in rng.permutation(len(picked))]

    def batches(
        self, mix: MixConfig, seed: int, part: int = 0, n_parts: int = 1
    ) -> Iterator[list[Row]]:
        """Endless rows in batches of at most ``mix.batch_tokens``; the same for the same seed.

        With ``n_parts``, each of them has its own share of every pass. Raises ``InputError`` when
        there is no example.
        """
        if not any(data.examples for data in self.sets):
            raise InputError("there are no questions to train on")
        rows: list[Row] = []
        tokens = 0
        for epoch in count():
            order = self.order(np.random.default_rng((seed, epoch)))
            rng = np.random.default_rng((seed, epoch, part))
            for number, example in order[part::n_parts]:
                data = self.sets[number]
                row = make_row(data, data.examples[example], mix, rng)
                size = sum(map(len, row.windows))
                if rows and tokens + size > mix.batch_tokens:
                    yield rows
                    rows, tokens = [], 0
                rows.append(row)
                tokens += size
