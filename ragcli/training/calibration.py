"""``python -m ragcli.training.calibration``: fit how confidence follows from the reader's figures.

Rows with an accepted answer count as right when F1 is at least 0.5, or when a sentence was wanted
and holds an accepted answer; rows without never. Prints the expected calibration error of a
held-out half, and for several thresholds how often the reader abstains where it should and where
it should not.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragcli.evaluation.answers import is_right
from ragcli.evaluation.calibration import expected_calibration_error
from ragcli.reader import Reader, load_reader
from ragcli.reader.confidence import CALIBRATIONS, Calibration, features
from ragcli.reader.model import FORMS, SENTENCE, SHORT
from ragcli.training.data import read_rows, texts_of

CHUNK = 64
"""Rows read at once."""
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
_STEPS = 50
_RIDGE = 1e-3


def fit(inputs: NDArray[np.float64], right: NDArray[np.float64]) -> Calibration:
    """Fit by Newton's method; ``inputs (n, 3)``, ``right (n,)`` 0 or 1."""
    x = np.hstack((np.ones((len(inputs), 1)), inputs))
    w = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(x @ w)))
        gradient = x.T @ (p - right) + _RIDGE * w
        curvature = (x * (p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(len(w))
        w -= np.linalg.solve(curvature, gradient)
    return Calibration(*(round(float(value), 4) for value in w))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is kept of a generation, whose attention would take megabytes."""

    figures: tuple[float, float, float]
    has_text: bool
    is_right: bool


def _read(reader: Reader, rows: Sequence[Mapping[str, object]], form: str) -> Iterator[_Reading]:
    for first in range(0, len(rows), CHUNK):
        part = rows[first : first + CHUNK]
        questions = [str(row["question"]) for row in part]
        contexts = [texts_of(row["contexts"]) for row in part]
        for row, generation in zip(
            part, reader.generate(questions, contexts, form=form), strict=True
        ):
            accepted = texts_of(row["answers"])
            right = is_right(generation.text, accepted, sentence=form == SENTENCE)
            yield _Reading(features(generation), bool(generation.text), right)


def threshold_report(
    confidences: NDArray[np.float64],
    right: NDArray[np.float64],
    answerable: NDArray[np.bool_],
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[str]:
    """Say of each threshold how often it abstains, where it should and where not; all ``(n,)``."""
    kinds = {
        "unanswerable": ~answerable,
        "answerable": answerable,
        "right answers": right > 0,
    }
    return [
        f"threshold {threshold:.2f}: abstains on "
        + ", ".join(
            f"{(confidences[of_kind] < threshold).mean():.1%} of the {name}"
            for name, of_kind in kinds.items()
            if of_kind.any()
        )
        for threshold in thresholds
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Read rows with the reader, fit, report and write the coefficients."""
    parser = argparse.ArgumentParser(
        prog="python -m ragcli.training.calibration", description=__doc__
    )
    parser.add_argument("rows", nargs="+", type=Path, help="JSON lines, plain or .gz")
    parser.add_argument("--limit", type=int, default=500, help="rows of each file")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--form", choices=list(FORMS), default=SHORT)
    parser.add_argument("--output", type=Path, help="default: where ragcli looks for it")
    options = parser.parse_args(arguments)
    rows = []
    for file in options.rows:
        own = list(read_rows(file))
        rows += random.Random(0).sample(own, min(options.limit, len(own)))
    random.Random(1).shuffle(rows)
    read = list(_read(load_reader(options.weights), rows, options.form))
    inputs = np.array([one.figures for one in read])
    right = np.array([float(one.is_right) for one in read])
    half = len(rows) // 2
    held_out = fit(inputs[:half], right[:half])
    confidences = np.array(
        [held_out.probability(one.figures) if one.has_text else 0.0 for one in read[half:]]
    )
    error = expected_calibration_error(confidences, right[half:])
    answerable = np.array([bool(row["answers"]) for row in rows[half:]])
    report = threshold_report(confidences, right[half:], answerable)
    fit(inputs, right).save(options.output or CALIBRATIONS[options.form])
    sys.stdout.write("\n".join([f"expected calibration error {error:.3f}", *report]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
