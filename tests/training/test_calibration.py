"""Fitting confidence, and what is said of each threshold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ragcli.reader.confidence import load_calibration
from ragcli.reader.model import FORMS
from ragcli.training.calibration import fit, main, threshold_report


def test_fit_finds_the_coefficients_that_made_the_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(20_000, 3))
    logits = 0.5 + inputs @ [1.0, -2.0, 0.25]
    right = (rng.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype(float)
    fit(inputs, right).save(tmp_path / "calibration.json")
    fitted = load_calibration(tmp_path / "calibration.json")
    found = [fitted.bias, fitted.has_answer, fitted.mean_likelihood, fitted.least_likelihood]
    np.testing.assert_allclose(found, [0.5, 1.0, -2.0, 0.25], atol=0.08)


def test_the_report_counts_each_kind_below_the_threshold() -> None:
    confidences = np.array([0.1, 0.6, 0.3, 0.9])
    right = np.array([0.0, 0.0, 1.0, 1.0])
    answerable = np.array([False, False, True, True])
    assert threshold_report(confidences, right, answerable, [0.5]) == [
        "threshold 0.50: abstains on 50.0% of the unanswerable, 50.0% of the answerable, "
        "50.0% of the right answers"
    ]


def test_a_kind_without_rows_is_not_spoken_of() -> None:
    report = threshold_report(np.array([0.2]), np.array([0.0]), np.array([False]), [0.5])
    assert report == ["threshold 0.50: abstains on 100.0% of the unanswerable"]


@pytest.mark.parametrize("form", FORMS)
def test_coefficients_are_fitted_to_the_readers_own_answers(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contexts = ["The mill was built in 1822.", "Tea grows on hills.", "Otters swim at night."]
    questions = {"When was the mill built?": ["1822"], "Where does tea grow?": ["hills"]}
    rows = [
        {"question": question, "contexts": kept, "answers": answers if kept == contexts else []}
        for question, answers in questions.items()
        for kept in (contexts, contexts[2:])
    ]
    file, output = tmp_path / "rows.jsonl", tmp_path / "calibration.json"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main([str(file), "--form", form, "--output", str(output)]) == 0
    assert load_calibration(output).has_answer > 0
    said = capsys.readouterr().out
    assert said.startswith("expected calibration error 0.")
    assert "of the unanswerable" in said
