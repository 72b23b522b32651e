"""Scores of an evaluation, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from ragcli.render.machine import json_line

DIGITS = 6


class Score(Protocol):
    """What ``eval reader`` measured: means in percent, ``seconds`` of reading."""

    @property
    def em(self) -> float: ...  # noqa: D102
    @property
    def f1(self) -> float: ...  # noqa: D102
    @property
    def holds(self) -> float: ...  # noqa: D102
    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def abstained(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


def score_line(score: Score) -> str:
    """Return one line for a person."""
    return (
        f"EM {score.em:.1f}  F1 {score.f1:.1f}  holds {score.holds:.1f}  ({score.n} questions, "
        f"{score.abstained} abstained, {score.seconds:.0f} s)"
    )


def score_json(score: Score) -> str:
    """Return one JSON object."""
    return json_line(
        {
            "em": round(score.em, 2),
            "f1": round(score.f1, 2),
            "holds": round(score.holds, 2),
            "n": score.n,
            "abstained": score.abstained,
            "seconds": round(score.seconds, 3),
        }
    )


class ScoredAnswer(Protocol):
    """What became of one question; see ``engine.evaluating_answers``."""

    @property
    def question(self) -> AnsweredQuestion: ...  # noqa: D102
    @property
    def text(self) -> str | None: ...  # noqa: D102
    @property
    def confidence(self) -> float: ...  # noqa: D102
    @property
    def em(self) -> float: ...  # noqa: D102
    @property
    def f1(self) -> float: ...  # noqa: D102
    @property
    def holds(self) -> float: ...  # noqa: D102
    @property
    def recall(self) -> float | None: ...  # noqa: D102


class AnsweredQuestion(Protocol):
    """A question with its accepted answers."""

    @property
    def question_id(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def answers(self) -> tuple[str, ...]: ...  # noqa: D102


class AnswersScore(Protocol):
    """What ``eval answers`` measured, in percent, over ``n`` questions."""

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def unanswerable(self) -> int: ...  # noqa: D102
    @property
    def means(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def intervals(self) -> Mapping[str, tuple[float, float]]: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


_MEANINGS = {
    "em": "exact match, all",
    "f1": "F1, all",
    "answerable_em": "exact match, answerable",
    "answerable_f1": "F1, answerable",
    "answerable_holds": "holds an accepted answer",
    "answerable_abstained": "abstained, answerable",
    "unanswerable_abstained": "abstained, unanswerable",
    "wrong": "wrong, of answers given",
    "ece": "calibration error",
}


def answers_table(score: AnswersScore) -> Iterator[str]:
    """Yield a line a measure, with its 95 % interval, for a person."""
    for name, mean in score.means.items():
        label = _MEANINGS.get(name, name.replace("recall@", "documents found, k = "))
        low, high = score.intervals.get(name, (None, None))
        interval = "" if low is None or high is None else f"   {low:5.1f} to {high:5.1f}"
        yield f"{label:26}{mean:6.1f} %{interval}"
    yield ""
    yield (
        f"{score.n} questions, {score.unanswerable} of them unanswerable, "
        f"{score.seconds:.0f} s ({score.seconds / score.n:.2f} s each)"
    )


def answers_json(score: AnswersScore) -> str:
    """Return one JSON object; shares in percent."""
    return json_line(
        {
            "n": score.n,
            "unanswerable": score.unanswerable,
            **{name: round(mean, 2) for name, mean in score.means.items()},
            "intervals": {
                name: [round(low, 2), round(high, 2)]
                for name, (low, high) in score.intervals.items()
            },
            "seconds": round(score.seconds, 3),
        }
    )


def answered_json(answer: ScoredAnswer) -> str:
    """Return one JSON object for one question."""
    return json_line(
        {
            "id": answer.question.question_id,
            "question": answer.question.text,
            "answers": list(answer.question.answers),
            "answer": answer.text,
            "confidence": round(answer.confidence, DIGITS),
            "em": answer.em,
            "f1": round(answer.f1, DIGITS),
            "holds": answer.holds,
            "recall": answer.recall,
        }
    )


class RetrievalScore(Protocol):
    """What ``eval retrieval`` measured of one way of ranking, over ``n`` queries."""

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def values(self) -> Mapping[str, Mapping[str, float]]: ...  # noqa: D102
    @property
    def means(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def intervals(self) -> Mapping[str, tuple[float, float]]: ...  # noqa: D102
    @property
    def p_values(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


def retrieval_table(scores: Mapping[str, RetrievalScore]) -> Iterator[str]:
    """Yield a table for a person: a line a measure, a column a way of ranking.

    Below stand the intervals and p-values of the first measure.
    """
    names = list(scores)
    measures = list(next(iter(scores.values())).means)
    yield "".ljust(10) + "".join(name.rjust(10) for name in names)
    for measure in measures:
        means = "".join(f"{scores[name].means[measure]:10.4f}" for name in names)
        yield measure.ljust(10) + means
    yield "seconds".ljust(10) + "".join(f"{scores[name].seconds:10.1f}" for name in names)
    main = measures[0]
    yield ""
    for name in names:
        low, high = scores[name].intervals[main]
        p = scores[name].p_values.get(main)
        against = "" if p is None else f"; p = {p:.4f} against {names[0]}"
        yield f"{main} of {name}: 95 % interval {low:.4f} to {high:.4f}{against}"


def retrieval_json(mode: str, score: RetrievalScore) -> str:
    """Return one JSON object for one way of ranking; measures stand under their own names."""
    return json_line(
        {
            "mode": mode,
            "n": score.n,
            **{name: round(mean, DIGITS) for name, mean in score.means.items()},
            "intervals": {
                name: [round(low, DIGITS), round(high, DIGITS)]
                for name, (low, high) in score.intervals.items()
            },
            "p_values": {name: round(p, DIGITS) for name, p in score.p_values.items()},
            "seconds": round(score.seconds, 3),
        }
    )


def per_query_json(mode: str, score: RetrievalScore) -> Iterator[str]:
    """Yield one JSON object a query."""
    for query in next(iter(score.values.values())):
        yield json_line(
            {
                "mode": mode,
                "query_id": query,
                **{name: round(own[query], DIGITS) for name, own in score.values.items()},
            }
        )
