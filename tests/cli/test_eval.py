from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
ROWS = [
    {"id": "1", "question": "Who leads the team?", "contexts": [REVIEW], "answers": ["Anna Berg"]},
    {"id": "2", "question": "Who leads the team?", "contexts": [" "], "answers": []},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(lines, "utf-8")
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return tmp_path


def test_scores_as_json(run: Run, rows: Path) -> None:
    finished = run("eval", "reader", "rows.jsonl", "rows.jsonl.gz", "--json")
    assert (finished.code, finished.err) == (0, "")
    score = json.loads(finished.out)
    assert list(score) == ["schema", "em", "f1", "n", "abstained", "seconds"]
    seconds = score.pop("seconds")
    assert score == {"schema": 1, "em": 100.0, "f1": 100.0, "n": 4, "abstained": 2}
    assert seconds > 0


def test_scores_for_a_person_on_a_sample_below_a_threshold(run: Run, rows: Path) -> None:
    finished = run(
        "eval", "reader", "rows.jsonl", "rows.jsonl.gz", "--limit", "3", "--min-confidence", "1",
        stderr_is_terminal=True,
    )  # fmt: skip
    assert finished.code == 0
    assert "(3 questions, 3 abstained, " in finished.out
    assert finished.out.startswith("EM ")
    assert finished.err == "\r3/3 questions\r\x1b[K"


def test_weights_are_named_from_the_persons_folder(run: Run, rows: Path) -> None:
    (rows / "other.safetensors").write_text("no weights", "utf-8")
    finished = run("eval", "reader", "rows.jsonl", "--weights", "other.safetensors")
    assert (finished.code, finished.out) == (2, "")
    assert f"cannot read the reader weights {rows / 'other.safetensors'}" in finished.err
    missing = run("eval", "reader", "rows.jsonl", "--weights", "missing.safetensors")
    assert missing.code == 2
    assert "missing.safetensors" in missing.err


def test_a_bad_row_is_named_by_file_and_line(run: Run, rows: Path) -> None:
    with (rows / "rows.jsonl").open("a", encoding="utf-8") as lines:
        lines.write('{"question": "q", "contexts": "no list", "answers": []}\n')
    finished = run("eval", "reader", "rows.jsonl")
    assert (finished.code, finished.out) == (2, "")
    assert "rows.jsonl:3: contexts and answers must be lists of texts" in finished.err
    assert 'a row is {"id", "question"' in finished.err


def test_a_missing_or_empty_file_is_refused(run: Run, tmp_path: Path) -> None:
    assert run("eval", "reader", "none.jsonl").code == 2
    (tmp_path / "empty.jsonl").touch()
    finished = run("eval", "reader", "empty.jsonl")
    assert (finished.code, finished.err) == (2, "ragcli: there are no rows to evaluate on\n")
