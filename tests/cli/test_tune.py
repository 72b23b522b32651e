"""The loop of a person's own questions: draft, fill in, measure, tune, search."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.store import Index

if TYPE_CHECKING:
    from conftest import Run

PLACES = ("cellar", "attic", "garden", "harbour", "library", "kitchen", "tower", "stable")
LINES = [f"Lantern {n} hangs in the {place} of the mill." for n, place in enumerate(PLACES)] * 3
TUNE = ("tune", "--queries", "questions.jsonl")


@pytest.fixture
def indexed(run: Run, tmp_path: Path) -> Path:
    rows = [{"id": f"d{n}", "text": f"{line} Note {n}."} for n, line in enumerate(LINES)]
    (tmp_path / "notes.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    (tmp_path / "leave.md").write_text("# Leave\n\nEveryone has 25 days of paid leave.\n", "utf-8")
    assert run("index", "notes.jsonl", "leave.md", "-q").code == 0
    return tmp_path


@pytest.fixture
def judged(indexed: Path) -> Path:
    """24 questions, with the record that answers each."""
    rows = [
        {"id": f"q{n}", "question": f"what hangs, says note {n}?", "relevant": [f"d{n}"]}
        for n in range(len(LINES))
    ]
    _write(indexed / "questions.jsonl", rows)
    return indexed


def _write(file: Path, rows: list[dict[str, object]]) -> None:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


def _read(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_a_draft_can_be_filled_in_and_measured(run: Run, indexed: Path) -> None:
    drafted = run("eval", "init", "-n", "5")
    assert drafted.code == 0
    assert drafted.out.startswith("5 questions to fill in → questions.jsonl\n")
    assert (
        drafted.err == "ragcli: before you index again, write questions.jsonl into .ragcliignore\n"
    )
    rows = _read(indexed / "questions.jsonl")
    assert [list(row) for row in rows] == [
        ["id", "question", "relevant", "about", "hint", "passage"]
    ] * 5
    (leave,) = (row for row in rows if row["relevant"] == ["leave.md"])
    assert (leave["about"], leave["hint"]) == ("leave.md:1", "Leave")
    assert leave["passage"] == "# Leave Everyone has 25 days of paid leave."
    assert {row["question"] for row in rows} == {""}

    blank = run("eval", "retrieval", "--queries", "questions.jsonl")
    assert (blank.code, blank.out) == (2, "")
    assert "every question is still blank (5 in all)" in blank.err

    leave["question"] = "how many days off are there?"
    _write(indexed / "questions.jsonl", rows)
    measured = run("eval", "retrieval", "--queries", "questions.jsonl", "--json")
    assert measured.err == "ragcli: 4 of 5 questions are blank and left out\n"
    hybrid = json.loads(measured.out.splitlines()[0])
    assert (hybrid["n"], hybrid["Success@1"]) == (1, 1.0)
    shown = run(*TUNE)
    assert shown.code == 0
    assert "nothing is kept" in shown.out


def test_a_draft_overwrites_nothing_unless_told_to(run: Run, indexed: Path) -> None:
    (indexed / "mine.jsonl").write_text("my own work\n", "utf-8")
    refused = run("eval", "init", "mine.jsonl")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [
        "ragcli: mine.jsonl exists already",
        "name another file, or add --force",
    ]
    assert (indexed / "mine.jsonl").read_text("utf-8") == "my own work\n"
    assert run("eval", "init", "mine.jsonl", "--force").code == 0
    assert len(_read(indexed / "mine.jsonl")) == 20
    assert run("eval", "init", "absent/mine.jsonl").code == 2
    piped = run("eval", "init", "-", "-n", "2", "--seed", "3")
    assert [json.loads(line)["id"] for line in piped.out.splitlines()] == ["q1", "q2"]
    assert piped.err == ""


def test_what_is_tuned_is_kept_shown_and_forgotten(run: Run, judged: Path) -> None:
    assert json.loads(run("status", "--json").out)["tuned"] is None
    finished = run(*TUNE, "--json")
    assert (finished.code, finished.err) == (0, "")
    told = json.loads(finished.out)
    assert (told["schema"], told["n"], told["kept"]) == (1, 24, True)
    assert len(told["settings"]) == 42
    assert {"fusion": "mean", "dense_weight": 0.5} in [
        {key: one[key] for key in ("fusion", "dense_weight")} for one in told["settings"]
    ]
    status = json.loads(run("status", "--json").out)["tuned"]
    assert (status["k"], status["n"]) == (told["k"], 24)
    assert f"k {told['k']} (on 24 questions)" in run("status").out
    assert len(run("search", "lantern", "--json").out.splitlines()) == told["k"]
    reset = run("tune", "--reset")
    assert (reset.code, reset.out) == (0, "back to the defaults\n")
    assert json.loads(run("status", "--json").out)["tuned"] is None
    assert len(run("search", "lantern", "--json").out.splitlines()) == 10


def test_a_dry_run_keeps_nothing(run: Run, judged: Path) -> None:
    finished = run(*TUNE, "--dry-run", "--json")
    assert json.loads(finished.out)["kept"] is False
    assert "tuned" not in run("status").out
    assert "nothing is kept" in run(*TUNE, "--dry-run").out


def test_flag_variable_file_and_index_come_in_this_order(run: Run, judged: Path) -> None:
    def scores(*flags: str, **environ: str) -> list[float]:
        out = run("search", "note 3 in the harbour", "--json", "--explain", *flags, environ=environ)
        return [json.loads(line)["score"] for line in out.out.splitlines()]

    by_weight = {weight: scores("--dense-weight", weight) for weight in ("0", "0.3", "0.5", "0.9")}
    assert scores() == by_weight["0.5"]
    with Index.open(judged / ".ragcli") as index:
        fingerprint = index.fingerprint
    tuned = {
        "fusion": "mean",
        "dense_weight": 0.3,
        "k": 10,
        "n_questions": 24,
        "encoder_revision": fingerprint.encoder_revision,
    }
    with Index.create_or_open(judged / ".ragcli", fingerprint) as index:
        index.prefer("tuned", json.dumps(tuned))
        index.commit()
    assert scores() == by_weight["0.3"]
    (judged / "ragcli.toml").write_text("dense_weight = 0.9\n", "utf-8")
    assert scores() == by_weight["0.9"]
    assert scores(RAGCLI_DENSE_WEIGHT="0.5") == by_weight["0.5"]
    assert scores("--dense-weight", "0", RAGCLI_DENSE_WEIGHT="0.5") == by_weight["0"]
    overruled = run(*TUNE, "--dry-run")
    assert "sets dense_weight: that goes before the index's own" in overruled.err


def test_eval_retrieval_measures_the_weight_that_is_given(run: Run, judged: Path) -> None:
    def reached(*flags: str) -> float:
        out = run("eval", "retrieval", *TUNE[1:], "--mode", "hybrid", "--json", *flags).out
        return float(json.loads(out)["nDCG@10"])

    settings = json.loads(run(*TUNE, "--dry-run", "--json").out)["settings"]
    means = {one["dense_weight"]: one["nDCG@10"] for one in settings if one["fusion"] == "mean"}
    assert reached("--dense-weight", "0.2") == means[0.2]
    assert reached("--dense-weight", "1") == means[1.0]


def test_a_person_sees_the_table_at_80_columns(run: Run, judged: Path) -> None:
    out = run(*TUNE, "--force", stdout_is_terminal=True, terminal_width=80).out
    assert "taken because of --force" in out
    assert "kept in the index: search shows " in out
    assert out.count("*") == 3  # what the mark means, the setting, and the k
    assert [line for line in out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("arguments", "said", "remedy"),
    [
        (["tune"], "tune takes --queries FILE or --reset", 'try "ragcli tune --help"'),
        ([*TUNE, "--reset"], "tune takes --queries FILE or --reset", "--help"),
        (["tune", "--reset", "--dry-run"], "exclude each other", "choose one"),
        (["tune", "--queries", "absent.jsonl"], "absent.jsonl: No such file", ""),
        (["tune", "--queries", "empty.jsonl"], "there are no queries", ""),
        (["tune", "--queries", "bare.jsonl"], "no line says which documents", "--qrels"),
        (["tune", "--queries", "bare.jsonl", "--qrels", "qrels.tsv"], "such as 'z.md'", "path"),
        ([*TUNE, "--index", "none"], "no index in", 'run "ragcli index PATH"'),
        (["eval", "init", "x.jsonl", "--index", "none"], "no index in", "ragcli index PATH"),
        ([*TUNE, "--encoder", "other"], "not by other", "--rebuild"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, judged: Path, arguments: list[str], said: str, remedy: str
) -> None:
    (judged / "empty.jsonl").touch()
    _write(judged / "bare.jsonl", [{"id": "1", "text": "lantern"}])
    (judged / "qrels.tsv").write_text("1\tz.md\t1\n", "utf-8")
    finished = run(*arguments)
    assert (finished.code, finished.out) == (2, "")
    assert said in finished.err
    assert remedy in finished.err
    assert "Traceback" not in finished.err
    assert not (judged / "none").exists()


def test_judged_documents_that_the_index_lacks_are_named(run: Run, judged: Path) -> None:
    rows = _read(judged / "questions.jsonl")
    rows[0]["relevant"] = ["a.md", "b.md", "c.md", "d.md"]
    _write(judged / "questions.jsonl", rows)
    for arguments in (["eval", "retrieval", *TUNE[1:], "--mode", "lexical"], [*TUNE, "--dry-run"]):
        finished = run(*arguments)
        assert finished.code == 0
        assert "not in the index: a.md, b.md, c.md, ... (4 in all)" in finished.err


def test_an_index_that_is_being_written_is_left_alone(run: Run, judged: Path) -> None:
    with Index.open(judged / ".ragcli") as index:
        fingerprint = index.fingerprint
    with Index.create_or_open(judged / ".ragcli", fingerprint):
        busy = run(*TUNE)
        assert (busy.code, busy.out) == (2, "")
        assert "is being written by process" in busy.err
        assert run(*TUNE, "--dry-run").code == 0


def test_head_ends_it_quietly(run: Run, judged: Path, closing_pipe: io.StringIO) -> None:
    finished = run(*TUNE, stdout=closing_pipe)
    assert (finished.code, finished.err) == (0, "")


def test_ask_refuses_a_weight_for_a_text_that_is_not_searched(run: Run, tmp_path: Path) -> None:
    finished = run("ask", "who?", "--context", "-", "--dense-weight", "0", stdin="Anna leads.")
    assert finished.code == 2
    assert "do not go with --context" in finished.err
