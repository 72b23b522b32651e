"""Drafted questions: passages from all over an index, the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ragcli.engine.drafting import draft_questions
from ragcli.engine.indexing import index_paths
from ragcli.errors import IndexMissingError, InputError


@pytest.fixture
def folder(corpus: Path, write: Callable[..., Path]) -> Path:
    """Three small files, one of three long sections, and one of many records."""
    sections = [
        f"# Part {n}\n\n" + f"The lift of house {n} was built long ago. " * 60 for n in "123"
    ]
    write(corpus / "docs" / "lifts.md", "\n\n".join(sections))
    rows = [{"id": f"t{n}", "text": f"Ticket {n}: the lift stands still again."} for n in range(30)]
    write(corpus / "tickets.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    write(corpus / "short.txt", "Nothing to ask.\n")
    index_paths([corpus], corpus / ".ragcli")
    return corpus / ".ragcli"


def test_every_file_has_its_turn_before_any_has_a_second(folder: Path) -> None:
    five = draft_questions(folder, 5, named_from=folder.parent)
    assert {draft.passage.path for draft in five} == {
        "docs/leave.md", "docs/boiler.txt", "tea.txt", "docs/lifts.md", "tickets.jsonl",
    }  # fmt: skip
    assert [draft.question_id for draft in five] == ["q1", "q2", "q3", "q4", "q5"]


def test_then_come_other_headings_and_other_records(folder: Path) -> None:
    drafts = draft_questions(folder, 9, named_from=folder.parent)
    lifts = [draft for draft in drafts if draft.passage.path == "docs/lifts.md"]
    assert {draft.passage.passage.heading for draft in lifts} == {"Part 1", "Part 2", "Part 3"}
    tickets = [draft.relevant for draft in drafts if draft.passage.path == "tickets.jsonl"]
    assert len(set(tickets)) == len(tickets) == 3


def test_records_are_judged_by_id_and_files_by_path_from_here(folder: Path) -> None:
    by_path = {d.passage.path: d.relevant for d in draft_questions(folder, 5, named_from=folder)}
    outside = (folder.parent / "tea.txt").resolve().as_posix()
    assert by_path[outside] == outside
    by_path = {
        d.passage.path: d.relevant
        for d in draft_questions(folder, 5, named_from=folder.parent / "docs")
    }
    assert by_path["leave.md"] == "leave.md"
    (record,) = (name for path, name in by_path.items() if path.endswith("tickets.jsonl"))
    assert record.startswith("t")


def test_a_seed_decides_whatever_the_passages_ids_are(folder: Path) -> None:
    def drawn(seed: int) -> list[tuple[str, int]]:
        return [
            (draft.relevant, draft.passage.passage.start)
            for draft in draft_questions(folder, 9, seed=seed, named_from=folder.parent)
        ]

    first = drawn(0)
    assert drawn(1) != first
    index_paths([folder.parent], folder, rebuild=True)  # gives new ids
    assert drawn(0) == first


def test_more_than_there_is_gives_all_that_can_be_asked_about(folder: Path) -> None:
    drafts = draft_questions(folder, 999, named_from=folder.parent)
    assert len({draft.passage.passage_id for draft in drafts}) == len(drafts) > 30
    assert "short.txt" not in {draft.passage.path for draft in drafts}
    assert drafts[0].question_id == "q01"


def test_an_index_without_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "empty.txt").touch()
    index_paths([tmp_path / "docs"], tmp_path / ".ragcli")
    with pytest.raises(InputError, match="no passage"):
        draft_questions(tmp_path / ".ragcli", 3)
    with pytest.raises(IndexMissingError):
        draft_questions(tmp_path / "none", 3)
