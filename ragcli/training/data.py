"""Training data: JSON lines → tokenised questions, gold spans and hard negatives."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ragcli.corpus.sentences import sentence_spans
from ragcli.evaluation.answers import normalise
from ragcli.reader.model import MAX_ANSWER_TOKENS
from ragcli.reader.windows import (
    QUESTION_TOKENS,
    TokenisedText,
    tokenise,
)
from ragcli.training.alteration import alter, names_in
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
