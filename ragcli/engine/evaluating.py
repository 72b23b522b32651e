"""The use case ``eval reader``: rows with their contexts → exact match and F1."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard, TypeVar

from ragcli.engine.batches import open_text
from ragcli.errors import InputError
from ragcli.evaluation.answers import exact_match, f1, holds
from ragcli.reader.confidence import shipped_calibration
from ragcli.reader.model import SHORT, beams_of

CHUNK = 128
"""Rows read between two reports of progress."""
EVEN = 0.5
"""Probability of there being no answer above which the reader abstains of itself."""

Sampled = TypeVar("Sampled")


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """A question, what to read, and the accepted answers; none means: not answerable."""

    question: str
    contexts: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReaderScore:
    """Means over ``n`` rows in percent; ``abstained`` counts rows.

    ``holds`` is how often an accepted answer stands in the answer.
    """

    em: float
    f1: float
    holds: float
    n: int
    abstained: int
    seconds: float


def evaluate_reader(
    files: Sequence[Path],
    *,
    limit: int | None = None,
    seed: int = 0,
    min_confidence: float | None = None,
    weights: Path | None = None,
    form: str = SHORT,
    beams: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReaderScore:
    """Score the reader on all rows of ``files``, or on a seeded sample of ``limit`` of them.

    An unanswerable row is right when the reader abstains, an answerable one when the text is. The
    reader abstains where it finds "no answer" likelier than not, or, with ``min_confidence``,
    where it is less confident: that is how ``ask`` decides.
    Raises ``InputError`` for a file that is not of such rows, ``UsageError`` for an unknown
    ``form`` or too many ``beams``.
    """
    from ragcli.reader import load_reader

    n_beams = beams_of(form, beams)
    rows = [row for file in files for row in read_rows(file)]
    if not rows:
        raise InputError("there are no rows to evaluate on")
    rows = sample(rows, limit, seed)
    reader, calibration = load_reader(weights), shipped_calibration(form)
    started = time.perf_counter()
    predictions: list[str | None] = []
    for first in range(0, len(rows), CHUNK):
        part = rows[first : first + CHUNK]
        questions, contexts = [r.question for r in part], [r.contexts for r in part]
        for generation in reader.generate(questions, contexts, form=form, beams=n_beams):
            sure = (
                generation.p_no_answer <= EVEN
                if min_confidence is None
                else calibration.confidence(generation) >= min_confidence
            )
            predictions.append(generation.text if sure and generation.text else None)
        progress(len(predictions), len(rows))
    pairs = list(zip(predictions, rows, strict=True))
    return ReaderScore(
        em=100 * sum(exact_match(p, row.answers) for p, row in pairs) / len(rows),
        f1=100 * sum(f1(p, row.answers) for p, row in pairs) / len(rows),
        holds=100 * sum(holds(p, row.answers) for p, row in pairs) / len(rows),
        n=len(rows),
        abstained=predictions.count(None),
        seconds=time.perf_counter() - started,
    )


def sample(rows: Sequence[Sampled], limit: int | None, seed: int) -> list[Sampled]:
    """Draw ``limit`` of the rows, or take them all where there are not so many or none is set."""
    if limit is None or limit >= len(rows):
        return list(rows)
    return random.Random(seed).sample(rows, limit)


def read_rows(file: Path) -> Iterator[ReaderRow]:
    """Yield the rows of a JSON-lines file, ``.gz`` or plain; raises ``InputError``."""
    with open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _parse(line, f"{file}:{number}")


def _parse(line: str, place: str) -> ReaderRow:
    remedy = 'a row is {"id", "question", "contexts": [...], "answers": [...]}'
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: is not valid JSON: {error}", remedy) from error
    if not isinstance(row, dict) or not _is_text(row.get("question")):
        raise InputError(f"{place}: has no question", remedy)
    contexts, answers = row.get("contexts"), row.get("answers")
    if not _are_texts(contexts) or not _are_texts(answers):
        raise InputError(f"{place}: contexts and answers must be lists of texts", remedy)
    return ReaderRow(row["question"], tuple(contexts), tuple(answers))


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_text(value: object) -> bool:
    """Whether it is a string without lone surrogates, which no tokenizer takes."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)
