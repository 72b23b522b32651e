from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.engine.listing import HeldFile, list_documents, list_files
from ragcli.errors import IndexMissingError, UsageError
from ragcli.store import INCOMPLETE

if TYPE_CHECKING:
    from conftest import Holding


@pytest.fixture
def folder(hold: Holding, tmp_path: Path) -> Path:
    """The index of a folder with two files, two records and a file from elsewhere."""
    return hold(
        tmp_path / "home" / ".ragcli",
        hold.document("docs/leave.md", "Leave.\n\nDays lapse.", title="Leave"),
        hold.document("docs/old/plan.txt", "A plan."),
        hold.document("facts.jsonl", "Otters.", "f1", "Otters"),
        hold.document("facts.jsonl", "Beavers.", "f2"),
        hold.document(str(tmp_path / "elsewhere" / "far.md"), "Far."),
    )


def _paths(folder: Path, *patterns: str, seen_from: str = "") -> list[str]:
    here = folder.parent / seen_from
    return [file.path for file in list_files(folder, patterns, seen_from=here)]


def test_a_file_is_told_with_what_the_index_holds_of_it(hold: Holding, folder: Path) -> None:
    far, leave, plan, facts = list_files(folder, seen_from=folder.parent)
    modified = datetime.fromtimestamp(hold.modified_ns // 10**9, timezone.utc)
    assert leave == HeldFile("docs/leave.md", 1, 2, 1234, modified, "hash")
    assert (plan.path, facts.path, facts.documents) == ("docs/old/plan.txt", "facts.jsonl", 2)
    assert far.path == (folder.parents[1] / "elsewhere" / "far.md").as_posix()


def test_paths_are_shown_from_where_the_person_stands(folder: Path) -> None:
    paths = _paths(folder, seen_from="docs")
    assert paths[1:3] == ["leave.md", "old/plan.txt"]
    assert Path(paths[3]) == folder.parent / "facts.jsonl"


@pytest.mark.parametrize(
    ("patterns", "seen_from", "expected"),
    [
        (["*.md"], "", ["far.md", "leave.md"]),
        (["docs"], "", ["leave.md", "plan.txt"]),
        (["docs/**", "!docs/old/**"], "", ["leave.md"]),
        (["!*.md"], "", ["plan.txt", "facts.jsonl"]),
        (["."], "", ["leave.md", "plan.txt", "facts.jsonl"]),
        (["."], "docs", ["leave.md", "plan.txt"]),
        (["."], "docs/old", ["plan.txt"]),
        ([".."], "docs/old", ["leave.md", "plan.txt"]),
        (["../leave.md"], "docs/old", ["leave.md"]),
        ([".", "!*.md"], "", ["plan.txt", "facts.jsonl"]),
        (["./docs/old", "*.jsonl"], "", ["plan.txt", "facts.jsonl"]),
        (["../../elsewhere"], "docs", ["far.md"]),
        (["nothing"], "", []),
        (["./nothing"], "", []),
    ],
)
def test_patterns_choose_as_git_does_and_paths_with_a_dot_as_paths(
    folder: Path, patterns: list[str], seen_from: str, expected: list[str]
) -> None:
    found = _paths(folder, *patterns, seen_from=seen_from)
    assert [Path(path).name for path in found] == expected


def test_what_is_no_glob_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="path glob"):
        _paths(folder, "!")


def test_documents_come_with_their_files(folder: Path) -> None:
    found = list_documents(folder, ["facts.*", "leave.md"], seen_from=folder.parent)
    told = [(file.path, held.document_id, held.title, held.passages) for file, held in found]
    assert told == [
        ("docs/leave.md", "docs/leave.md", "Leave", 2),
        ("facts.jsonl", "f1", "Otters", 1),
        ("facts.jsonl", "f2", "", 1),
    ]


def test_files_that_are_incomplete_say_so(hold: Holding, folder: Path) -> None:
    hold(folder, hold.document("half.txt", "Half."), content_hash=INCOMPLETE)
    [half] = list_files(folder, ["half.txt"], seen_from=folder.parent)
    assert (half.is_complete, half.content_hash) == (False, None)


def test_what_came_through_a_pipe_has_its_name_everywhere_and_no_time(
    hold: Holding, folder: Path
) -> None:
    hold(folder, hold.document("stdin:notes.txt", "Noted."), age=hold.modified_ns // 10**9)
    for seen_from in ("", "docs"):
        [piped] = list_files(folder, ["stdin:*"], seen_from=folder.parent / seen_from)
        assert (piped.path, piped.modified) == ("stdin:notes.txt", None)


def test_without_an_index_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="no index"):
        list_files(tmp_path)
