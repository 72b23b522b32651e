"""The use case ``eval answers``: question → retrieval → answer, scored from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ragcli.engine.asking import AskOptions, ask
from ragcli.engine.evaluating import sample
from ragcli.engine.judged import AnsweredQuestion
from ragcli.evaluation.answers import exact_match, f1, holds, is_right
from ragcli.evaluation.calibration import expected_calibration_error
from ragcli.evaluation.ranking import confidence_interval
from ragcli.reader.model import SENTENCE
from ragcli.records import Answer, Question


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """What became of one question: ``em`` and ``f1`` in [0, 1], ``recall`` where it is judged.

    ``holds`` an accepted answer: 1 or 0. An unanswerable question is right when ``text`` is
    ``None``.
    """

    question: AnsweredQuestion
    text: str | None
    confidence: float
    em: float
    f1: float
    holds: float
    is_right: bool
    recall: float | None


@dataclass(frozen=True, slots=True)
class AnswersScore:
    """Means over ``n`` questions, of which ``unanswerable`` have no accepted answer.

    ``means`` and 95 % ``intervals``, in percent: ``em`` and ``f1`` over all (as in SQuAD 2.0), the
    same of the answerable ones, how many of their answers hold an accepted one, ``recall@k`` of
    relevant documents among what was read; further ``abstained`` of either kind, ``wrong`` of the
    answers given, and their ``ece``, expected calibration error of their confidences. ``seconds``
    of retrieving and reading.
    """

    n: int
    unanswerable: int
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    seconds: float
    answers: Sequence[ScoredAnswer]


def evaluate_answers(
    folder: Path,
    questions: Sequence[AnsweredQuestion],
    options: AskOptions,
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AnswersScore:
    """Ask every question, or a seeded sample of ``limit``, as ``ask`` does; score the answers.

    Documents are named as judgements name them: records by their ids, files by their paths from
    ``options.seen_from``. Raises as ``ask`` does.
    """
    questions = sample(questions, limit, seed)
    started = time.perf_counter()
    asked = (Question(one.text, one.question_id) for one in questions)
    scored = []
    for question, answer in zip(questions, ask(folder, asked, options), strict=True):
        scored.append(_score(question, answer, options.form))
        progress(len(scored), len(questions))
    seconds = time.perf_counter() - started
    values = dict(_values(scored, options.k))
    return AnswersScore(
        len(scored),
        sum(not one.question.answers for one in scored),
        {
            **{name: 100 * float(np.mean(own)) for name, own in values.items()},
            "ece": 100 * _calibration_error(scored),
        },
        {name: _percent(confidence_interval(own)) for name, own in values.items()},
        seconds,
        scored,
    )


def _score(question: AnsweredQuestion, answer: Answer, form: str) -> ScoredAnswer:
    names = {
        hit.stored.document_id if hit.stored.is_record else hit.stored.path
        for hit in answer.passages
    }
    relevant = question.relevant
    return ScoredAnswer(
        question,
        answer.text,
        answer.confidence,
        exact_match(answer.text, question.answers),
        f1(answer.text, question.answers),
        holds(answer.text, question.answers),
        is_right(answer.text, question.answers, sentence=form == SENTENCE),
        len(names & relevant) / len(relevant) if relevant else None,
    )


def _values(scored: Sequence[ScoredAnswer], k: int) -> Iterator[tuple[str, list[float]]]:
    """Name and values of each measure that any question has."""
    answerable = [one for one in scored if one.question.answers]
    others = [one for one in scored if not one.question.answers]
    given = [one for one in scored if one.text is not None]
    measures = {
        "em": [one.em for one in scored],
        "f1": [one.f1 for one in scored],
        "answerable_em": [one.em for one in answerable],
        "answerable_f1": [one.f1 for one in answerable],
        "answerable_holds": [one.holds for one in answerable],
        "answerable_abstained": [float(one.text is None) for one in answerable],
        "unanswerable_abstained": [float(one.text is None) for one in others],
        "wrong": [float(not one.is_right) for one in given],
        f"recall@{k}": [one.recall for one in scored if one.recall is not None],
    }
    yield from ((name, own) for name, own in measures.items() if own)


def _calibration_error(scored: Sequence[ScoredAnswer]) -> float:
    """Expected calibration error, in [0, 1], of answers that were given."""
    given = [one for one in scored if one.text is not None]
    return expected_calibration_error(
        np.array([one.confidence for one in given]),
        np.array([float(one.is_right) for one in given]),
    )


def _percent(interval: tuple[float, float]) -> tuple[float, float]:
    return 100 * interval[0], 100 * interval[1]
