"""``python -m ragcli.training.heads``: fit what each cross-attention head is worth.

After AT2 (Cohen-Wang et al. 2025, https://arxiv.org/abs/2504.13752): passages are taken away at
random, and one linear model over all questions explains the answers' log-probabilities by what
the heads' attention would lose without each of the passages that stayed. Writes
``ragcli/attribution/head_weights.json``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ragcli.attribution.ablations import random_ablations
from ragcli.attribution.methods import HEAD_WEIGHTS, head_effects
from ragcli.attribution.shares import context_labels
from ragcli.reader import Reader, load_reader
from ragcli.training.data import read_rows, texts_of

N_ABLATIONS = 32
_STEADY = 1e-3
"""Least deviation of a question's outcomes, in nats, from which something can be learned."""


@dataclass(frozen=True, slots=True)
class AblatedAnswer:
    """What the heads say of one answer's sources, and what became of it without some of them.

    ``effects (n_heads, S)``, ``kept (K, S)``, ``outcomes (K,)`` log-probabilities (natural).
    """

    effects: NDArray[np.float64]
    kept: NDArray[np.bool_]
    outcomes: NDArray[np.float64]


def ablate(
    reader: Reader, rows: Sequence[tuple[str, list[str]]], seed: int
) -> Iterator[AblatedAnswer]:
    """Answer each question from its contexts, and again without some of them, many times."""
    rng = np.random.default_rng(seed)
    for question, contexts in rows:
        for _, generation, memory in reader.read([question], [contexts]):
            kept = random_ablations(len(contexts), N_ABLATIONS, rng)
            masks = [memory.without_contexts(np.flatnonzero(~one).tolist()) for one in kept]
            effects = head_effects(generation, context_labels(generation), len(contexts))
            yield AblatedAnswer(
                effects.reshape(-1, len(contexts)), kept, memory.log_probabilities(masks)
            )


def fit(answers: Sequence[AblatedAnswer]) -> NDArray[np.float64]:
    """Weights ``(n_heads,)``, none below 0, by least squares; each question counts the same.

    A question's outcomes are brought to mean 0 and deviation 1; where all are alike, it is left
    out. That no head can count against another leaves only a few with any weight.
    """
    inputs, outputs = [], []
    for answer in answers:
        deviation = float(answer.outcomes.std())
        if deviation < _STEADY:
            continue
        sums = answer.kept @ answer.effects.T
        inputs.append(sums - sums.mean(axis=0))
        outputs.append((answer.outcomes - answer.outcomes.mean()) / deviation)
    weights: NDArray[np.float64] = nnls(np.vstack(inputs), np.concatenate(outputs))[0]
    return weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Read rows of several contexts each, fit, and write the weights."""
    parser = argparse.ArgumentParser(prog="python -m ragcli.training.heads", description=__doc__)
    parser.add_argument("rows", type=Path, help="JSON lines, plain or .gz")
    parser.add_argument("--limit", type=int, default=400, help="questions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="reader weights (default: the shipped ones)")
    parser.add_argument("--output", type=Path, default=HEAD_WEIGHTS)
    options = parser.parse_args(arguments)
    rows = [(str(row["question"]), texts_of(row["contexts"])) for row in read_rows(options.rows)]
    random.Random(options.seed).shuffle(rows)
    reader = load_reader(options.weights)
    answers = []
    for answer in ablate(reader, rows[: options.limit], options.seed):
        answers.append(answer)
        if len(answers) % 20 == 0:
            sys.stderr.write(f"{len(answers)} answers\n")
    config = reader.network.config
    shape = (config.n_decoder_layers, config.encoder.n_heads)
    weights = fit(answers).reshape(shape).round(4).tolist()
    fitted = {"reader": reader.fingerprint.revision, "answers": len(answers), "weights": weights}
    options.output.write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
