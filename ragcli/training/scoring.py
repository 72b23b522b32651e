"""EM and F1 of a reader in training, on a seeded sample of rows."""

from __future__ import annotations

import copy
import random
from pathlib import Path

from ragcli.evaluation.answers import exact_match, f1
from ragcli.reader import Reader, ReaderFingerprint
from ragcli.reader.model import FusionInDecoder
from ragcli.training.data import read_rows, texts_of


def score_reader(reader: FusionInDecoder, file: Path, limit: int) -> dict[str, float]:
    """``em`` and ``f1`` in percent over answerable rows, always answering; ``n`` rows.

    A copy of the reader is scored, because answering may run in a shorter number format.
    """
    rows = [row for row in read_rows(file) if row["answers"]]
    rows = random.Random(0).sample(rows, min(limit, len(rows)))
    generator = Reader(copy.deepcopy(reader).cpu(), ReaderFingerprint("in training", ""))
    generations = generator.generate(
        [str(row["question"]) for row in rows],
        [texts_of(row["contexts"]) for row in rows],
    )
    pairs = [(g.text, texts_of(row["answers"])) for g, row in zip(generations, rows, strict=True)]
    return {
        "em": 100 * sum(exact_match(*pair) for pair in pairs) / max(len(pairs), 1),
        "f1": 100 * sum(f1(*pair) for pair in pairs) / max(len(pairs), 1),
        "n": float(len(pairs)),
    }
