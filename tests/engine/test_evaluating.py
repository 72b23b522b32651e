from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ragcli.engine.evaluating import ReaderRow, evaluate_reader, read_rows
from ragcli.errors import InputError, ModelError

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
ROWS: list[dict[str, object]] = [
    {"question": "When is the project review due?", "contexts": [REVIEW], "answers": ["14 March"]},
    {"question": "Who leads the team?", "contexts": [REVIEW], "answers": ["Carl", "anna berg"]},
    {"question": "Who leads the team?", "contexts": [""], "answers": []},
]


def _write(file: Path, *rows: dict[str, object]) -> Path:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return file


def test_scores_are_means_in_percent_over_all_files(tmp_path: Path) -> None:
    files = [_write(tmp_path / "a.jsonl", *ROWS[:1]), _write(tmp_path / "b.jsonl", *ROWS[1:])]
    told: list[tuple[int, int]] = []
    score = evaluate_reader(
        files, min_confidence=0.0, progress=lambda done, total: told.append((done, total))
    )
    assert (score.n, score.abstained) == (3, 1)
    assert score.em == pytest.approx(100 * 2 / 3)
    assert score.f1 == pytest.approx(100 * (0.8 + 1 + 1) / 3)
    assert score.seconds > 0
    assert told == [(3, 3)]


def test_a_reader_that_never_is_sure_is_right_where_there_is_no_answer(tmp_path: Path) -> None:
    score = evaluate_reader([_write(tmp_path / "rows.jsonl", *ROWS)], min_confidence=1.0)
    assert score.abstained == 3
    assert score.em == score.f1 == pytest.approx(100 / 3)


def test_a_sample_is_drawn_by_its_seed(tmp_path: Path) -> None:
    rows = [
        {"question": "Who?", "contexts": [""], "answers": [] if n % 2 else ["x"]} for n in range(20)
    ]
    file = _write(tmp_path / "rows.jsonl", *rows)
    scores = [evaluate_reader([file], limit=5, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert {score.n for score in scores} == {5}
    assert scores[0].em == scores[1].em
    assert len({score.em for score in scores}) > 1
    assert evaluate_reader([file], limit=50).n == 20


def test_plain_and_packed_files_hold_the_same_rows(tmp_path: Path) -> None:
    file = _write(tmp_path / "rows.jsonl", *ROWS)
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + file.read_bytes() + b"\n"))
    rows = list(read_rows(file))
    assert rows[0] == ReaderRow("When is the project review due?", (REVIEW,), ("14 March",))
    assert list(read_rows(packed)) == rows


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{oops", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "has no question"),
        ('{"contexts": [], "answers": []}', "has no question"),
        ('{"question": "\\ud800", "contexts": [], "answers": []}', "has no question"),
        ('{"question": "q", "answers": []}', "must be lists of texts"),
        ('{"question": "q", "contexts": "c", "answers": []}', "must be lists of texts"),
        ('{"question": "q", "contexts": [1], "answers": []}', "must be lists of texts"),
        ('{"question": "q", "contexts": ["\\udfff"], "answers": []}', "must be lists of texts"),
        ('{"question": "q", "contexts": [], "answers": null}', "must be lists of texts"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f"{json.dumps(ROWS[0])}\n\n{line}\n", "utf-8")
    with pytest.raises(InputError, match=reason) as caught:
        list(read_rows(file))
    assert caught.value.message.startswith(f"{file}:3: ")


@pytest.mark.parametrize("name", ["missing.jsonl", "latin.jsonl", "torn.gz", "bent.gz", "no.gz"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    packed = gzip.compress(json.dumps(ROWS).encode() * 20)
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "caf\xe9"}')
    (tmp_path / "torn.gz").write_bytes(packed[:-20])
    (tmp_path / "bent.gz").write_bytes(packed[:12] + b"\xff" * 40 + packed[52:])
    (tmp_path / "no.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=name):
        list(read_rows(tmp_path / name))


def test_nothing_to_evaluate_on_and_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows"):
        evaluate_reader([_write(tmp_path / "none.jsonl")])
    file = _write(tmp_path / "rows.jsonl", *ROWS)
    with pytest.raises(ModelError, match="nowhere"):
        evaluate_reader([file], weights=tmp_path / "nowhere")
