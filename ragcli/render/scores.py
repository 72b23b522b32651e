"""Scores of an evaluation, in words and as JSON."""

from __future__ import annotations

from typing import Protocol

from ragcli.render.machine import json_line


class Score(Protocol):
    """What ``eval reader`` measured: ``em`` and ``f1`` in percent, ``seconds`` of reading."""

    @property
    def em(self) -> float: ...  # noqa: D102
    @property
    def f1(self) -> float: ...  # noqa: D102
    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def abstained(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


def score_line(score: Score) -> str:
    """Return one line for a person."""
    return (
        f"EM {score.em:.1f}  F1 {score.f1:.1f}  ({score.n} questions, "
        f"{score.abstained} abstained, {score.seconds:.0f} s)"
    )


def score_json(score: Score) -> str:
    """Return one JSON object."""
    return json_line(
        {
            "em": round(score.em, 2),
            "f1": round(score.f1, 2),
            "n": score.n,
            "abstained": score.abstained,
            "seconds": round(score.seconds, 3),
        }
    )
