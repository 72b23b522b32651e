"""Training rows: JSON lines → tokenised questions, gold spans and hard negatives → batches."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ragcli.corpus.sentences import sentence_spans
from ragcli.errors import InputError
from ragcli.evaluation.answers import normalise
from ragcli.reader.model import BEGIN, BEGIN_SENTENCE, END, MAX_ANSWER_TOKENS, NO_ANSWER
from ragcli.reader.windows import (
    GROUP_TOKENS,
    OVERLAP_TOKENS,
    QUESTION_TOKENS,
    TokenisedText,
    Window,
    collate,
    make_window,
    split_windows,
    tokenise,
)
from ragcli.training.alteration import alter, names_in
from ragcli.training.loss import TrainingBatch
from ragcli.training.negatives import rank_passages

MAX_ANSWER = 40
MAX_SENTENCE = MAX_ANSWER_TOKENS - 1
_NEGATIVES = 12
_ALTERATIONS = 2

Range = tuple[int, int]
"""Tokens ``[start, end)`` of a passage."""


def read_rows(file: Path) -> Iterator[dict[str, object]]:
    """Yield the objects of a JSON-lines file, ``.gz`` or plain."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


@dataclass(frozen=True, slots=True)
class Example:
    """One question.

    ``gold`` is the number of the passage that answers it; ``occurrences`` the token ranges
    ``[start, end)`` of its answers there, all of one answer's wording; ``sentences`` those of the
    sentence around each, ``None`` for one that is too long to be an answer; ``answer_ids`` the
    tokens to write when the answer does not stand in the passage (then there are no occurrences).
    ``negatives`` are passages that do not hold any accepted answer, hardest first. ``altered`` are
    questions like this one that the gold passage does not answer.
    """

    question: NDArray[np.int32]
    gold: int
    occurrences: tuple[Range, ...]
    sentences: tuple[Range | None, ...]
    answer_ids: tuple[int, ...]
    negatives: tuple[int, ...]
    altered: tuple[NDArray[np.int32], ...] = ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """The examples of one file and the passages they speak of."""

    name: str
    passages: tuple[TokenisedText, ...]
    examples: tuple[Example, ...]


def find_answer(passage: str, answer: str) -> list[tuple[int, int]]:
    """Character ranges where the answer stands as whole words, case folded."""
    pattern = r"(?<!\w)" + r"\s+".join(map(re.escape, answer.split())) + r"(?!\w)"
    return (
        [m.span() for m in re.finditer(pattern, passage, re.IGNORECASE)] if answer.split() else []
    )


def token_range(spans: NDArray[np.int32], start: int, end: int) -> tuple[int, int] | None:
    """Tokens ``[first, last)`` that cover the characters ``[start, end)``."""
    inside = np.flatnonzero((spans[:, 0] < end) & (spans[:, 1] > start))
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else None


def load_data(
    file: Path, tokenizer: Tokenizer, excluded: frozenset[str] = frozenset(), *, free: bool = False
) -> DataSet:
    """Read a file of rows ``{"question", "contexts", "answers"}``.

    Rows whose gold passage is in ``excluded`` are left out, and so are rows whose answer does not
    stand in their passage unless ``free``.
    """
    rows = [
        row
        for row in read_rows(file)
        if row["answers"] and not any(c in excluded for c in texts_of(row["contexts"]))
    ]
    texts = list(dict.fromkeys(c for row in rows for c in texts_of(row["contexts"])))
    number = {text: n for n, text in enumerate(texts)}
    passages = tokenise(tokenizer, texts)
    questions = [
        t.ids[:QUESTION_TOKENS] for t in tokenise(tokenizer, [str(r["question"]) for r in rows])
    ]
    vocabulary = tokenizer.get_vocab_size()
    ranked = rank_passages(questions, [p.ids for p in passages], vocabulary, 3 * _NEGATIVES)
    normalised = [f" {normalise(text)} " for text in texts]
    names = [names_in(text) for text in texts]
    rng = np.random.default_rng(0)
    examples = []
    for row, question, best in zip(rows, questions, ranked, strict=True):
        answers = texts_of(row["answers"])
        contexts = texts_of(row["contexts"])
        own = {number[c] for c in contexts}
        held = [f" {normalise(a)} " for a in answers]
        negatives = tuple(
            int(n)
            for n in best
            if n not in own and not any(answer in normalised[n] for answer in held)
        )[:_NEGATIVES]
        found = _locate(contexts, [passages[number[c]] for c in contexts], answers)
        if found is not None:
            at, occurrences = found
            gold = number[contexts[at]]
            around = _sentences_around(contexts[at], passages[gold], occurrences)
            strangers = [name for n in negatives for name in names[n]]
            changed = _altered(tokenizer, str(row["question"]), texts[gold], strangers, rng)
            examples.append(Example(question, gold, occurrences, around, (), negatives, changed))
        elif free and len(contexts) == 1:
            ids = tokenizer.encode(answers[0], add_special_tokens=False).ids
            if len(ids) <= MAX_ANSWER:
                gold = number[contexts[0]]
                examples.append(Example(question, gold, (), (), tuple(ids), negatives))
    return DataSet(file.name, tuple(passages), tuple(examples))


def _altered(
    tokenizer: Tokenizer,
    question: str,
    passage: str,
    strangers: Sequence[str],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], ...]:
    """Tokens of a few altered questions, each another one; none where no rule applies."""
    found = (alter(question, passage, strangers, rng) for _ in range(_ALTERATIONS))
    texts = dict.fromkeys(text for text in found if text)
    return tuple(t.ids[:QUESTION_TOKENS] for t in tokenise(tokenizer, list(texts)))


def texts_of(value: object) -> list[str]:
    """Return a JSON list of strings as such."""
    return [str(v) for v in value] if isinstance(value, list) else []


def _locate(
    contexts: Sequence[str], passages: Sequence[TokenisedText], answers: Sequence[str]
) -> tuple[int, tuple[Range, ...]] | None:
    """The first context that holds an accepted answer, and all token ranges of that answer."""
    for answer in answers:
        for at, (context, passage) in enumerate(zip(contexts, passages, strict=True)):
            ranges = [token_range(passage.spans, *s) for s in find_answer(context, answer)]
            kept = tuple(r for r in ranges if r is not None and r[1] - r[0] <= MAX_ANSWER)
            if kept:
                return at, kept
    return None


def _sentences_around(
    context: str, passage: TokenisedText, occurrences: Sequence[Range]
) -> tuple[Range | None, ...]:
    """Tokens of the sentence that each occurrence stands in, all of it.

    ``None`` where it is cut by the sentence's edge, or the sentence is too long.
    """
    ranges = [token_range(passage.spans, *span) for span in sentence_spans(context)]
    fitting = [r for r in ranges if r is not None and r[1] - r[0] <= MAX_SENTENCE]
    return tuple(
        next((r for r in fitting if r[0] <= start and end <= r[1]), None)
        for start, end in occurrences
    )


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
    read = [_read(data.passages[n], question, n, limit, rng, whole=whole) for n in picked]
    at = int(rng.integers(len(read) + 1))
    before = [window for windows in read[:at] for window in windows]
    after = [window for windows in read[at:] for window in windows]
    chosen = int(rng.integers(len(example.occurrences))) if example.occurrences else 0
    sentence = example.sentences[chosen] if example.sentences else None
    wants_sentence = sentence is not None and rng.random() < mix.sentences
    begin = BEGIN_SENTENCE if wants_sentence else BEGIN
    if absent:
        return Row(begin, (*before, *after))
    wanted = (sentence,) if wants_sentence and sentence else example.occurrences
    focus = wanted[0 if wants_sentence else chosen] if wanted else None
    passage = data.passages[example.gold]
    gold = _read(passage, question, example.gold, limit, rng, whole=whole, focus=focus)
    windows = (*before, *gold, *after)
    if is_altered:
        return Row(begin, windows)
    numbered = list(enumerate(gold, len(before)))
    found = [(place, o) for place in wanted for o in _occurrences(numbered, place)]
    of_focus = [i for i, (place, _) in enumerate(found) if place == focus]
    return Row(
        begin,
        windows,
        tuple(occurrence for _, occurrence in found),
        example.answer_ids,
        int(rng.choice(of_focus)) if of_focus else 0,
    )


def _occurrences(windows: Sequence[tuple[int, Window]], place: Range) -> Iterator[Occurrence]:
    """Where the passage's tokens ``place`` stand in those of its numbered windows that hold all."""
    for number, window in windows:
        shift = window.passage_start - window.first_token
        start, end = place[0] + shift, place[1] + shift
        if start >= window.passage_start and end < len(window):
            yield Occurrence(number, start, end)


def _read(
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
        if focus is None or any(_occurrences(list(enumerate(windows)), focus)):
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
