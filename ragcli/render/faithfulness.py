"""What ``eval attribution`` measured, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from ragcli.render.machine import json_line

DIGITS = 4
_COLUMNS = {
    "LDS": "LDS",
    "LOO": "LOO",
    "drop@1": "drop@1",
    "drop@3": "drop@3",
    "hit@1": "hit@1",
    "sentence_hit@1": "hit@1s",
    "sentence_drop@1": "drop@1s",
}
_NAME, _WIDTH = 16, 8


class MethodScore(Protocol):
    """What one method reached; see ``engine.evaluating_attribution``."""

    @property
    def means(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def intervals(self) -> Mapping[str, tuple[float, float]]: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102
    @property
    def shuffled(self) -> float | None: ...  # noqa: D102


class Report(Protocol):
    """All methods over ``n`` questions, of which ``right`` were answered rightly."""

    @property
    def methods(self) -> Mapping[str, MethodScore]: ...  # noqa: D102
    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def right(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


def faithfulness_table(report: Report) -> Iterator[str]:
    """Yield a table for a person, a line a method, of at most 80 columns."""
    yield f"{report.n} questions, {report.right} answered rightly, {report.seconds:.2f} s an answer"
    yield ""
    yield "".ljust(_NAME) + "".join(c.rjust(_WIDTH) for c in _COLUMNS.values()) + "ms".rjust(_WIDTH)
    for name, score in report.methods.items():
        cells = [
            f"{score.means[measure]:.3f}" if measure in score.means else "–" for measure in _COLUMNS
        ]
        cells.append(f"{1000 * score.seconds:.1f}")
        yield name.ljust(_NAME) + "".join(cell.rjust(_WIDTH) for cell in cells)
    yield ""
    yield "LDS: rank correlation with what random ablations of passages do to the answer;"
    yield "LOO: with what taking away each does. drop@n: log-probability (nats) lost"
    yield "without the first n. hit@1: the first holds the accepted answer, where the"
    yield "answer is right. s: of sentences; a dropped one is taken out of its passage,"
    yield "which is read anew."
    yield "ms: for passages and sentences, on top of the answer."


def faithfulness_json(name: str, score: MethodScore, report: Report) -> str:
    """Return one JSON object for one method."""
    return json_line(
        {
            "method": name,
            "n": report.n,
            "right": report.right,
            **{measure: round(mean, DIGITS) for measure, mean in score.means.items()},
            "intervals": {
                measure: [round(low, DIGITS), round(high, DIGITS)]
                for measure, (low, high) in score.intervals.items()
            },
            "shuffled": None if score.shuffled is None else round(score.shuffled, DIGITS),
            "seconds": round(score.seconds, 6),
            "answer_seconds": round(report.seconds, 6),
        }
    )
