from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ragcli.attribution.methods import head_weights
from ragcli.reader import load_reader
from ragcli.training.heads import AblatedAnswer, fit, main

TRUE = np.array([0.5, 0.0, 2.0])


def _answer(seed: int, weights: np.ndarray) -> AblatedAnswer:
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(3, 6))
    kept = rng.random((40, 6)) < 0.5
    return AblatedAnswer(effects, kept, 7.0 + kept @ (weights @ effects))


def test_the_heads_that_explain_the_outcomes_are_found() -> None:
    found = fit([_answer(seed, TRUE) for seed in range(200)])
    assert found[1] == pytest.approx(0.0, abs=0.02)
    assert found[2] / found[0] == pytest.approx(4.0, rel=0.1)


def test_no_head_counts_against_another() -> None:
    assert (fit([_answer(seed, -TRUE) for seed in range(20)]) == 0.0).all()


def test_answers_that_never_change_teach_nothing() -> None:
    steady = _answer(0, np.zeros(3))
    learned = [_answer(seed, TRUE) for seed in range(5)]
    assert fit([steady, *learned]) == pytest.approx(fit(learned))


def test_weights_are_fitted_to_a_reader(tmp_path: Path) -> None:
    rows, output = tmp_path / "rows.jsonl", tmp_path / "weights.json"
    contexts = ["The mill was built in 1822.", "Tea grows on hills.", "Otters swim at night."]
    questions = ["When was the mill built?", "Where does tea grow?", "When do otters swim?"]
    lines = [{"question": question, "contexts": contexts} for question in questions]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert main([str(rows), "--output", str(output)]) == 0
    weights = head_weights(output)
    assert weights.shape == (2, 12)
    assert (weights >= 0).all()
    assert (weights > 0).any()
    told = json.loads(output.read_text(encoding="utf-8"))
    assert told["reader"] == load_reader().fingerprint.revision
    assert told["answers"] == len(questions)
