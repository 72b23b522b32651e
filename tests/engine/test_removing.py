from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.engine.listing import list_documents, list_files
from ragcli.engine.removing import Removed, remove_documents, remove_files
from ragcli.errors import IndexBusyError, IndexMissingError, NotHeldError, UsageError
from ragcli.store import Index

if TYPE_CHECKING:
    from conftest import Holding


@pytest.fixture
def folder(hold: Holding, tmp_path: Path) -> Path:
    return hold(
        tmp_path / ".ragcli",
        hold.document("docs/leave.md", "One.\n\nTwo."),
        hold.document("docs/old/plan.txt", "A plan."),
        hold.document("docsy.txt", "Beside it."),
        hold.document("facts.jsonl", "Otters.", "f1"),
        hold.document("facts.jsonl", "Beavers.", "both"),
        hold.document("more.jsonl", "Badgers.", "both"),
        hold.document("stdin:notes.txt", "Noted."),
    )


def _paths(folder: Path) -> list[str]:
    return [file.path for file in list_files(folder, seen_from=folder.parent)]


def _ids(folder: Path) -> list[str]:
    documents = list_documents(folder, ["*.jsonl"], seen_from=folder.parent)
    return [f"{file.path} {held.document_id}" for file, held in documents]


def test_a_file_and_a_folder_are_removed_with_all_they_hold(folder: Path) -> None:
    report = remove_files(folder, ["docs", "more.jsonl"], seen_from=folder.parent)
    assert report.removed == (
        Removed("docs/leave.md", None, 1, 2, on_disk=False),
        Removed("docs/old/plan.txt", None, 1, 1, on_disk=False),
        Removed("more.jsonl", None, 1, 1, on_disk=False),
    )
    assert _paths(folder) == ["docsy.txt", "facts.jsonl", "stdin:notes.txt"]
    with Index.open(folder) as index:
        assert index.summary().passages == 4
        assert len(index.search(index.vectors([4]), 9)[0]) == 4


def test_names_are_meant_from_where_the_person_stands(folder: Path) -> None:
    here = folder.parent / "docs" / "old"
    report = remove_files(folder, ["../leave.md", "../../docsy.txt"], seen_from=here)
    assert [Path(one.path).name for one in report.removed] == ["leave.md", "docsy.txt"]
    assert remove_files(folder, ["."], seen_from=here).removed[0].path == "plan.txt"
    remove_files(folder, ["stdin:notes.txt"], seen_from=here)
    remove_files(folder, [str(folder.parent)], seen_from=here)
    assert _paths(folder) == []


def test_through_a_symbolic_link_the_file_is_meant_that_it_leads_to(folder: Path) -> None:
    (folder.parent / "docs").mkdir()
    (folder.parent / "link").symlink_to(folder.parent / "docs")
    remove_files(folder, ["link/leave.md"], seen_from=folder.parent)
    assert "docs/leave.md" not in _paths(folder)


def test_a_name_that_is_named_twice_counts_once(folder: Path) -> None:
    report = remove_files(folder, ["docs", "docs/leave.md", "./docs/"], seen_from=folder.parent)
    assert len(report.removed) == 2


def test_of_names_of_which_one_is_unknown_none_is_removed(folder: Path) -> None:
    before = _paths(folder)
    with pytest.raises(NotHeldError, match="no file 'doc'; nothing was removed") as raised:
        remove_files(folder, ["docs", "doc"], seen_from=folder.parent)
    assert raised.value.exit_code == 1
    with pytest.raises(NotHeldError, match="no document 'f9'"):
        remove_documents(folder, ["f1", "f9"], seen_from=folder.parent)
    assert _paths(folder) == before
    assert "facts.jsonl f1" in _ids(folder)


def test_a_dry_run_tells_the_same_and_removes_nothing(hold: Holding, folder: Path) -> None:
    before = _paths(folder)
    with Index.create_or_open(folder, hold.fingerprint):  # another may be writing
        dry = remove_files(folder, ["docs"], dry_run=True, seen_from=folder.parent)
        dry_document = remove_documents(folder, ["f1"], dry_run=True, seen_from=folder.parent)
    assert (dry.dry_run, dry_document.dry_run) == (True, True)
    assert _paths(folder) == before
    assert remove_files(folder, ["docs"], seen_from=folder.parent).removed == dry.removed
    real = remove_documents(folder, ["f1"], seen_from=folder.parent)
    assert real.removed == dry_document.removed


def test_files_that_are_still_there_are_told(folder: Path) -> None:
    (folder.parent / "docsy.txt").write_text("Beside it.", "utf-8")
    report = remove_files(folder, ["docsy.txt", "facts.jsonl"], seen_from=folder.parent)
    assert {one.path: one.on_disk for one in report.removed} == {
        "docsy.txt": True,
        "facts.jsonl": False,
    }
    assert (folder.parent / "docsy.txt").read_text("utf-8") == "Beside it."


def test_one_record_is_removed_and_its_file_counts_as_unchanged(
    hold: Holding, folder: Path
) -> None:
    report = remove_documents(folder, ["f1"], seen_from=folder.parent)
    assert report.removed == (Removed("facts.jsonl", "f1", 1, 1, on_disk=False),)
    assert _ids(folder) == ["facts.jsonl both", "more.jsonl both"]
    with Index.open(folder) as index:
        assert index.source("facts.jsonl") == hold.source("facts.jsonl")


def test_an_id_of_several_files_needs_the_file(folder: Path) -> None:
    with pytest.raises(UsageError, match="2 files have a document 'both'") as raised:
        remove_documents(folder, ["both"], seen_from=folder.parent)
    assert raised.value.remedy.endswith("ragcli remove facts.jsonl --document both")
    with pytest.raises(NotHeldError, match="no document 'both' in these files"):
        remove_documents(folder, ["both"], ["docs"], seen_from=folder.parent)
    with pytest.raises(NotHeldError, match="no file 'nowhere'"):
        remove_documents(folder, ["both"], ["nowhere"], seen_from=folder.parent)
    remove_documents(folder, ["both"], ["more.jsonl"], seen_from=folder.parent)
    assert _ids(folder) == ["facts.jsonl f1", "facts.jsonl both"]


def test_a_writer_at_work_is_told_and_no_index_is_made(hold: Holding, folder: Path) -> None:
    with Index.create_or_open(folder, hold.fingerprint), pytest.raises(IndexBusyError):
        remove_files(folder, ["docs"], seen_from=folder.parent)
    missing = folder.parent / "missing"
    with pytest.raises(IndexMissingError):
        remove_files(missing, ["docs"], seen_from=folder.parent)
    assert not missing.exists()
