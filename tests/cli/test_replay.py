"""``ragcli ask --record`` and ``ragcli replay``, from the command line's end."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run

LEAVE = "How many days of paid leave has every employee?"
TEXT = "# Leave\n\nEvery employee has 25 days of paid leave a year.\n"


@pytest.fixture
def indexed(run: Run, tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/leave.md").write_text(TEXT, "utf-8")
    (tmp_path / "docs/tea.txt").write_text("Green tea is brewed at 80 degrees.\n", "utf-8")
    assert run("index", "docs", "-q").code == 0
    return tmp_path


def test_a_recorded_answer_is_identical_until_its_document_changes(run: Run, indexed: Path) -> None:
    plain = run("ask", LEAVE, "--json")
    recorded = run("ask", LEAVE, "--json", "--record", "log.jsonl")
    assert (recorded.code, recorded.err) == (0, "")
    shown = json.loads(recorded.out)
    assert list(shown) == list(json.loads(plain.out)), "what is printed stays as it was"
    kept = json.loads((indexed / "log.jsonl").read_text("utf-8"))
    assert kept["answer"] == shown["answer"]
    assert [one["text"] for one in kept["passages"]] == [one["text"] for one in shown["passages"]]

    same = run("replay", "log.jsonl")
    assert (same.code, same.out) == (0, f"1  identical  {LEAVE}\n")
    assert same.err == "ragcli: 1 record: 1 identical\n"

    (indexed / "docs/leave.md").write_text(TEXT.replace("25", "31"), "utf-8")
    assert run("index", "docs", "-q").code == 0
    changed = run("replay", "log.jsonl")
    assert changed.code == 1
    assert changed.out.splitlines()[:3] == [
        f"1  differs    {LEAVE}",
        "   index changed: generation 2 → 3",
        "   passage changed: docs/leave.md:1 has another text",
    ]
    assert "answer changed: “25" in changed.out
    assert "   reproducible: the recorded passages still give the recorded answer" in changed.out
    assert changed.err == "ragcli: 1 record: 1 different\n"
    assert all(len(line) <= 80 for line in changed.out.splitlines())


def test_batches_are_recorded_row_by_row_and_replayed_from_stdin(run: Run, indexed: Path) -> None:
    rows = [
        json.dumps({"id": "a", "question": LEAVE}),
        json.dumps({"id": "bad", "question": LEAVE, "contexts": 3}),
        json.dumps({"id": "b", "question": "Who leads?", "contexts": ["Carl Holm leads."]}),
        json.dumps({"id": "c", "question": "Who leads?", "contexts": []}),
    ]
    asked = run("ask", "--questions", "-", "--record", "log.jsonl", stdin="\n".join(rows))
    assert asked.code == 3
    log = (indexed / "log.jsonl").read_text("utf-8")
    assert [json.loads(line)["question"]["id"] for line in log.splitlines()] == ["a", "b", "c"]
    (indexed / "elsewhere").mkdir()
    replayed = run("replay", "-", "--json", stdin=log, cwd=indexed / "elsewhere")
    told = [json.loads(line) for line in replayed.out.splitlines()]
    assert replayed.code == 0
    assert replayed.err == "ragcli: 3 records: 3 identical\n"
    assert [(one["line"], one["question_id"], one["identical"]) for one in told] == [
        (1, "a", True),
        (2, "b", True),
        (3, "c", True),
    ]
    assert told[2]["answer"] is None


def test_a_text_given_as_context_is_recorded(run: Run, indexed: Path) -> None:
    asked = run("ask", LEAVE, "--context", "docs/leave.md", "--record", "log.jsonl")
    assert asked.code == 0
    kept = json.loads((indexed / "log.jsonl").read_text("utf-8"))
    assert (kept["index"], kept["question"]["contexts"]) == (None, [TEXT])
    assert kept["passages"][0]["path"] == "docs/leave.md"
    assert run("replay", "log.jsonl").code == 0


def test_lines_that_cannot_be_read_are_named_and_the_rest_goes_on(run: Run, indexed: Path) -> None:
    run("ask", LEAVE, "--mode", "lexical", "--record", "log.jsonl")
    log = indexed / "log.jsonl"
    line = log.read_text("utf-8")
    log.write_text(f'not a record\n{line}{{"format": "x"}}\n{line[:200]}', "utf-8")
    replayed = run("replay", "log.jsonl")
    assert replayed.code == 3
    assert replayed.out == f"2  identical  {LEAVE}\n"
    told = replayed.err.splitlines()
    assert told[0].startswith("ragcli: log.jsonl:1: is not valid JSON")
    assert told[1] == "ragcli: log.jsonl:3: is no record of the format ragcli-record-1"
    assert told[2].startswith("ragcli: log.jsonl:4: is not valid JSON")
    assert told[2].endswith("perhaps torn while it was written")
    assert told[3] == "ragcli: 4 records: 1 identical, 3 unreadable"
    run("ask", LEAVE, "--mode", "lexical", "--record", "log.jsonl")
    again = run("replay", "log.jsonl")
    assert again.out == f"2  identical  {LEAVE}\n5  identical  {LEAVE}\n"


def test_an_edited_record_is_damaged(run: Run, indexed: Path) -> None:
    run("ask", LEAVE, "--mode", "lexical", "--record", "log.jsonl")
    log = indexed / "log.jsonl"
    log.write_text(
        log.read_text("utf-8").replace("Every employee has", "Each employee has"), "utf-8"
    )
    replayed = run("replay", "log.jsonl")
    assert replayed.code == 1
    assert "record damaged: the text of passage 1 (docs/leave.md) is not the one" in replayed.out


def test_an_unwritable_record_is_told_before_anything_is_loaded(run: Run, indexed: Path) -> None:
    refused = run("ask", LEAVE, "--index", "no-index-there", "--record", "absent/log.jsonl")
    assert (refused.code, refused.out) == (2, "")
    assert "cannot write the record" in refused.err
    assert "name another file with --record" in refused.err


def test_usage_errors(run: Run, indexed: Path) -> None:
    assert run("replay").code == 2
    missing = run("replay", "missing.jsonl")
    assert (missing.code, missing.out) == (2, "")
    assert "missing.jsonl: No such file" in missing.err
    run("ask", LEAVE, "--mode", "lexical", "--record", "log.jsonl")
    no_index = run("replay", "log.jsonl", "--index", "docs")
    assert (no_index.code, no_index.out) == (2, "")
    assert "no index in" in no_index.err
    empty = run("replay", "-")
    assert (empty.code, empty.out, empty.err) == (1, "", "ragcli: 0 records\n")


def test_head_ends_a_replay_quietly(run: Run, indexed: Path, closing_pipe: io.StringIO) -> None:
    for _ in range(2):
        run("ask", LEAVE, "--mode", "lexical", "--record", "log.jsonl")
    finished = run("replay", "log.jsonl", stdout=closing_pipe)
    assert (finished.code, finished.err) == (0, "")
    assert closing_pipe.getvalue() == f"1  identical  {LEAVE}\n"
