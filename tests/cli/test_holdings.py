"""``list``, ``show``, ``remove`` and ``merge`` on an index that holds the worst of texts."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.store import INCOMPLETE, Index

if TYPE_CHECKING:
    from conftest import Run

    from tests.conftest import Holding

TERMINAL = {"stdout_is_terminal": True, "terminal_width": 80, "environ": {"NO_COLOR": "1"}}
EVIL = "\x1b]0;owned\x07\x9b2J\u202e"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


@pytest.fixture
def home(hold: Holding, tmp_path: Path) -> Path:
    """A folder whose index holds two files, two records and an incomplete file."""
    hold(
        tmp_path / ".ragcli",
        hold.document("docs/leave.md", "# Leave\n\nDays lapse.\n\nThe end.\n", title="Leave"),
        hold.document("docs/old/plan.txt", "A plan " + "that goes on " * 20),
        hold.document("facts.jsonl", "Otters\n\nThey swim.", "f1", "Otters"),
        hold.document("facts.jsonl", "Beavers", "f2"),
    )
    hold(tmp_path / ".ragcli", hold.document("half.txt", "Half."), content_hash=INCOMPLETE)
    return tmp_path


@pytest.fixture
def evil(hold: Holding, tmp_path: Path) -> Path:
    """A folder whose index tries to steer the terminal wherever it can."""
    hold(
        tmp_path / ".ragcli",
        hold.document(f"a{EVIL}.txt", f"Text {EVIL} text.\n\nMore {EVIL}"),
        hold.document("b.jsonl", f"Record {EVIL}\udc80", f"id{EVIL}", f"Title {EVIL}"),
        hold.document("c.jsonl", f"Record {EVIL}", f"id{EVIL}", f"Title {EVIL}"),
    )
    hold(tmp_path / ".ragcli", hold.document(f"half{EVIL}", "Half."), content_hash=INCOMPLETE)
    return tmp_path


# -- list ----------------------------------------------------------------------------------


def test_a_terminal_gets_a_table_and_a_pipe_the_paths(run: Run, home: Path) -> None:
    shown = run("list", **TERMINAL)
    assert shown.code == 0
    heading, first, *rest = shown.out.splitlines()
    assert heading == "passages    size  modified          path"
    assert re.fullmatch(r" {7}3  1\.2 kB  2023-11-1[45] \d\d:13  docs/leave\.md", first)
    assert rest[-1].endswith("  half.txt  (incomplete)")
    assert max(map(len, shown.out.splitlines())) <= 80
    piped = run("list")
    assert piped.out == "docs/leave.md\ndocs/old/plan.txt\nfacts.jsonl\nhalf.txt\n"
    assert run("list", "--long").out == shown.out
    assert run("list", "-0", "docs").out == "docs/leave.md\0docs/old/plan.txt\0"


def test_incomplete_files_are_told_with_the_remedy(run: Run, home: Path) -> None:
    told = run("list").err
    assert told.startswith("ragcli: 1 of 4 files incomplete")
    assert 'run "ragcli index PATH" to go on' in told
    assert run("list", "docs").err == ""
    assert run("list", "--json").err == ""


def test_files_as_json(run: Run, home: Path) -> None:
    files = [json.loads(line) for line in run("list", "--json").out.splitlines()]
    assert files[2] == {
        "schema": 1,
        "path": "facts.jsonl",
        "documents": 2,
        "passages": 3,
        "bytes": 1234,
        "modified_at": "2023-11-14T22:13:20+00:00",
        "content_hash": "hash",
        "complete": True,
    }
    assert next(iter(files[0])) == "schema"
    assert (files[3]["complete"], files[3]["content_hash"]) == (False, None)


def test_documents_in_every_form(run: Run, home: Path) -> None:
    assert run("list", "--documents").out == "docs/leave.md\ndocs/old/plan.txt\nf1\nf2\nhalf.txt\n"
    assert run("list", "--documents", "-0", "*.jsonl").out == "f1\0f2\0"
    shown = run("list", "--documents", "*.jsonl", "leave.md", **TERMINAL).out
    assert shown.splitlines() == [
        "docs/leave.md",
        "       3  docs/leave.md  Leave",
        "facts.jsonl",
        "       2  f1  Otters",
        "       1  f2",
    ]
    [otters, _] = run("list", "--documents", "--json", "*.jsonl").out.splitlines()
    assert otters == (
        '{"schema": 1, "path": "facts.jsonl", "document_id": "f1", "title": "Otters",'
        ' "passages": 2}'
    )


def test_nothing_listed_ends_with_1(run: Run, home: Path) -> None:
    finished = run("list", "*.pdf", **TERMINAL)
    assert (finished.code, finished.out, finished.err) == (1, "", "ragcli: nothing found\n")
    finished = run("list", "*.pdf", "--json")
    assert (finished.code, finished.out, finished.err) == (1, "", "")
    wrong = run("list", "--json", "--long")
    assert (wrong.code, wrong.out) == (2, "")


def test_head_ends_a_list_quietly(run: Run, home: Path, closing_pipe: io.StringIO) -> None:
    finished = run("list", stdout=closing_pipe)
    assert (finished.code, finished.err) == (0, "")


# -- show ----------------------------------------------------------------------------------


def test_a_passage_is_marked_between_its_neighbours(run: Run, home: Path) -> None:
    finished = run("show", "2")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.splitlines() == [
        "1  docs/leave.md:1",
        "   # Leave",
        "",
        "2  docs/leave.md:2",
        " > Days lapse.",
        "",
        "3  docs/leave.md:4",
        "   The end.",
    ]
    assert run("show", "2", "-C", "0").out.splitlines() == ["2  docs/leave.md:2", " > Days lapse."]
    [long] = [line for line in run("show", "4").out.splitlines() if "A plan" in line]
    assert len(long) <= 80


def test_a_file_is_shown_as_its_text_and_records_with_their_places(run: Run, home: Path) -> None:
    assert run("show", "docs/leave.md").out == "# Leave\n\nDays lapse.\n\nThe end.\n"
    assert run("show", "half.txt").out == "Half.\n"
    records = run("show", "facts.jsonl").out
    assert records == "facts.jsonl:1  f1\nOtters\n\nThey swim.\n\nfacts.jsonl:1  f2\nBeavers\n"
    assert run("show", "f2", cwd=home / "docs").out.endswith("facts.jsonl:1  f2\nBeavers\n")


def test_shown_things_as_json(run: Run, home: Path) -> None:
    before, asked = (json.loads(x) for x in run("show", "6", "--json").out.splitlines())
    assert list(asked) == [
        "schema", "asked", "path", "passage_id", "document_id", "title", "start", "end", "line",
        "page", "heading", "text", "metadata",
    ]  # fmt: skip
    assert (before["asked"], asked["asked"], asked["passage_id"]) == (False, True, 6)
    [record] = (json.loads(line) for line in run("show", "f1", "--json").out.splitlines())
    assert list(record) == [
        "schema", "path", "document_id", "title", "line", "text", "headings", "page_starts",
        "metadata", "passages",
    ]  # fmt: skip
    assert record["text"] == "Otters\n\nThey swim."
    assert [passage["passage_id"] for passage in record["passages"]] == [5, 6]


def test_what_is_not_held_ends_with_1_and_what_cannot_be_meant_with_2(
    hold: Holding, run: Run, home: Path
) -> None:
    missed = run("show", "docs/leav.md")
    assert (missed.code, missed.out) == (1, "")
    assert missed.err == (
        "ragcli: the index has no file or document 'docs/leav.md'\nlike it: docs/leave.md\n"
    )
    hold(home / ".ragcli", hold.document("more.jsonl", "Badgers", "f1"))
    several = run("show", "f1")
    assert (several.code, several.out) == (2, "")
    assert run("show", "f1", "--path", "more.jsonl").out.endswith("Badgers\n")
    assert run("show", "f1", "-C", "3", "--path", "more.jsonl").code == 2


# -- remove --------------------------------------------------------------------------------


def test_files_leave_the_index_and_stay_on_the_disk(run: Run, home: Path) -> None:
    file = home / "docs" / "leave.md"
    file.parent.mkdir()
    file.write_text("# Leave\n", "utf-8")
    dry = run("remove", "docs", "--dry-run")
    assert (dry.code, dry.out.splitlines()[:2]) == (
        0,
        ["removed    docs/leave.md", "removed    docs/old/plan.txt"],
    )
    assert "2 files, 2 documents, 4 passages would be removed → " in dry.out
    finished = run("remove", "docs")
    assert finished.code == 0
    assert finished.out.startswith("2 files, 2 documents, 4 passages removed → ")
    assert finished.err.startswith("ragcli: the file is still on the disk")
    assert ".ragcliignore" in finished.err
    assert file.exists()
    assert run("list").out == "facts.jsonl\nhalf.txt\n"


def test_one_record_leaves_and_the_others_stay(run: Run, home: Path) -> None:
    finished = run("remove", "--document", "f1")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("1 document, 2 passages removed → ")
    assert run("list", "--documents", "*.jsonl").out == "f2\n"


def test_a_removed_record_stays_out_until_its_file_changes_and_a_file_comes_back(
    run: Run, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    lines = ['{"id": "f1", "text": "Otters"}', '{"id": "f2", "text": "Beavers"}']
    rows.write_text("\n".join(lines), "utf-8")
    (tmp_path / "note.txt").write_text("A note.", "utf-8")
    assert run("index", ".", "-q").code == 0
    assert run("remove", "--document", "f1").code == 0
    assert run("remove", "note.txt").code == 0
    assert run("index", ".", "-q").code == 0
    assert run("list", "--documents").out == "note.txt\nf2\n"
    rows.write_text("\n".join([*lines, '{"id": "f3", "text": "Badgers"}']), "utf-8")
    assert run("index", ".", "-q").code == 0
    assert sorted(run("list", "--documents", "*.jsonl").out.split()) == ["f1", "f2", "f3"]
    found = run("search", "otters", "-k", "1", "--json", "--mode", "lexical").out
    shown = json.loads(run("show", str(json.loads(found)["passage_id"]), "--json").out)
    assert shown["text"] == json.loads(found)["text"] == "Otters"


def test_a_removal_as_json(run: Run, home: Path) -> None:
    report = json.loads(run("remove", "facts.jsonl", "--json").out)
    assert list(report) == ["schema", "index", "dry_run", "removed"]
    assert report["removed"] == [
        {
            "path": "facts.jsonl",
            "document_id": None,
            "documents": 2,
            "passages": 3,
            "on_disk": False,
        }
    ]


def test_a_removal_of_what_is_not_there_removes_nothing(run: Run, home: Path) -> None:
    finished = run("remove", "facts.jsonl", "nothing.txt")
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.startswith("ragcli: the index has no file 'nothing.txt'; nothing was ")
    assert "facts.jsonl" in run("list").out
    assert run("remove").code == 2


# -- merge ---------------------------------------------------------------------------------


def test_indexes_are_merged_and_paths_shown_from_here(hold: Holding, run: Run, home: Path) -> None:
    hold(home / "a" / ".ragcli", hold.document("one.txt", "One."))
    hold(home / "b" / ".ragcli", hold.document("two.txt", "Two."), hold.document("../f", "F."))
    finished = run("merge", "a", "b/.ragcli", "--index", "all")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("3 added; 3 passages copied in ")
    assert set(run("list", "--index", "all").out.splitlines()) == {"a/one.txt", "b/two.txt", "f"}
    into = json.loads(run("merge", "all", "--json").out)
    assert list(into) == [
        "schema", "index", "indexes", "added", "replaced", "unchanged", "kept", "superseded",
        "passages_added", "passages_removed", "seconds",
    ]  # fmt: skip
    assert (into["index"], into["added"]) == (str(home / ".ragcli"), 3)
    assert run("merge", ".").out.startswith("nothing to do; 0 passages copied in ")


def test_newer_files_of_the_target_are_told(hold: Holding, run: Run, home: Path) -> None:
    hold(home / "old", hold.document("facts.jsonl", "Old", "f1"), content_hash="old", age=9)
    finished = run("merge", "old")
    assert finished.out.startswith("1 kept, newer in the target; 0 passages copied in ")


def test_indexes_that_do_not_go_together_change_nothing(
    hold: Holding, run: Run, home: Path
) -> None:
    from dataclasses import replace

    other = replace(hold.fingerprint, encoder_name=f"other{EVIL}")
    hold(home / "other", hold.document("one.txt", "One."), fingerprint=other)
    finished = run("merge", "other")
    assert (finished.code, finished.out) == (2, "")
    assert "encoder name 'other" in finished.err
    assert STEERING.search(finished.err) is None
    assert run("merge", "nowhere").code == 2
    assert run("merge").code == 2


def test_a_bar_shows_a_merge_on_a_terminal(hold: Holding, run: Run, home: Path) -> None:
    hold(home / "a", hold.document("one.txt", "One."))
    finished = run("merge", "a", stderr_is_terminal=True, environ={"TERM": "xterm"})
    assert "merging" in finished.err
    assert finished.out.startswith("1 added; ")


# -- all of them ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "--documents"],
        ["list", "--long"],
        ["show", "1"],
        ["show", "2", "-C", "9"],
        ["show", f"a{EVIL}.txt"],
        ["show", "b.jsonl"],
        ["show", f"id{EVIL}"],
        ["show", f"id{EVIL}", "--path", "b.jsonl"],
        ["show", f"nothing{EVIL}"],
        ["show", "half"],
        ["remove", f"a{EVIL}.txt", "-n"],
        ["remove", "."],
        ["remove", f"nothing{EVIL}"],
        ["remove", "--document", f"id{EVIL}", "b.jsonl", "-n"],
        ["remove", "--document", f"id{EVIL}"],
        ["merge", ".", "--index", f"new{EVIL}".replace("/", "")],
        ["merge", f"nothing{EVIL}"],
    ],
    ids=lambda arguments: " ".join(arguments).encode("ascii", "replace").decode(),
)
def test_nothing_of_a_document_or_a_path_steers_the_terminal(
    run: Run, evil: Path, arguments: list[str]
) -> None:
    (evil / f"a{EVIL}.txt").write_text("Text", "utf-8")
    finished = run(*arguments, stderr_is_terminal=False, **TERMINAL)
    assert finished.code in {0, 1, 2}
    assert finished.out + finished.err
    assert STEERING.search(finished.out) is None
    assert STEERING.search(finished.err) is None


def test_commands_take_the_index_from_above_and_from_the_option(
    hold: Holding, run: Run, home: Path
) -> None:
    deep = home / "docs" / "old"
    assert run("list", ".", cwd=deep).out == "plan.txt\n"
    assert run("remove", "plan.txt", cwd=deep).code == 0
    with Index.open(home / ".ragcli") as index:
        assert index.source("docs/old/plan.txt") is None
    hold(home / "other", hold.document("one.txt", "One."))
    assert run("list", "--index", "other").out == "one.txt\n"
    assert run("show", "1", environ={"RAGCLI_INDEX": "other"}).out.endswith(" > One.\n")
    for arguments in (["list"], ["show", "1"], ["remove", "x"]):
        missing = run(*arguments, "--index", "none")
        assert (missing.code, missing.out) == (2, "")
        assert missing.err.startswith("ragcli: no index in ")
