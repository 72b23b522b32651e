"""Compacting and moving an index that the real encoder made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ragcli.engine.indexing import IndexReport, index_paths
from ragcli.engine.maintaining import (
    compact,
    export_index,
    folder_to_import_into,
    import_index,
)
from ragcli.engine.searching import Query, search
from ragcli.errors import IndexBusyError, IndexMissingError, InputError, UsageError
from ragcli.records import ScoredPassage
from ragcli.store import locked


def _update(folder: Path) -> IndexReport:
    return index_paths([folder], folder / ".ragcli", seen_from=folder)


def _hits(folder: Path) -> list[ScoredPassage]:
    query = Query("when was the heating maintained?")
    (result,) = search(folder / ".ragcli", [query], k=3, seen_from=folder)
    return list(result.hits)


@pytest.fixture
def indexed(corpus: Path) -> Path:
    _update(corpus)
    return corpus


def test_compacting_gives_back_what_was_removed(indexed: Path) -> None:
    hits = _hits(indexed)
    (indexed / "large.txt").write_text("Sentences that nobody wants to keep. " * 3000, "utf-8")
    _update(indexed)
    (indexed / "large.txt").unlink()
    _update(indexed)
    compaction = compact(indexed / ".ragcli")
    files = (indexed / ".ragcli").iterdir()
    assert compaction.bytes_after == sum(file.stat().st_size for file in files)
    assert compaction.bytes_after < compaction.bytes_before / 2
    assert compaction.is_shrunk
    assert _hits(indexed) == hits


def test_an_index_moves_without_its_documents(indexed: Path, tmp_path: Path) -> None:
    hits = _hits(indexed)
    file, there = tmp_path / "moved.ragcli", tmp_path / "there"
    exported = export_index(indexed / ".ragcli", file)
    assert (exported.sources, exported.documents, exported.passages) == (3, 3, 3)
    assert exported.n_bytes == file.stat().st_size
    for name in ("docs", ".ragcli"):
        shutil.rmtree(indexed / name)
    (indexed / "tea.txt").unlink()
    imported = import_index(file, there / ".ragcli")
    assert (imported.sources, imported.documents, imported.passages) == (3, 3, 3)
    assert _hits(there) == hits
    assert (there / ".ragcli" / "vectors.faiss").exists()


def test_beside_a_copy_of_the_documents_nothing_has_changed(indexed: Path, tmp_path: Path) -> None:
    export_index(indexed / ".ragcli", tmp_path / "moved.ragcli")
    there = tmp_path / "there"
    for name in ("docs/leave.md", "docs/boiler.txt", "tea.txt"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(indexed / name, there / name)
    import_index(tmp_path / "moved.ragcli", there / ".ragcli")
    report = _update(there)
    assert (report.unchanged, report.added, report.passages_embedded) == (3, 0, 0)


def test_a_file_is_overwritten_only_on_demand(indexed: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        export_index(indexed / ".ragcli", file)
    assert file.read_text() == "mine"
    export_index(indexed / ".ragcli", file, replace=True)
    assert import_index(file, tmp_path / "there").passages == 3


def test_a_file_that_is_none_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("none")
    with pytest.raises(InputError):
        import_index(tmp_path / "file", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_no_second_writer_compacts_or_imports(indexed: Path, tmp_path: Path) -> None:
    export_index(indexed / ".ragcli", tmp_path / "file")
    with locked(indexed / ".ragcli"):
        with pytest.raises(IndexBusyError):
            compact(indexed / ".ragcli")
        with pytest.raises(IndexBusyError):
            import_index(tmp_path / "file", indexed / ".ragcli", replace=True)


def test_where_there_is_no_index_none_is_compacted(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        compact(tmp_path / "no")
    assert list(tmp_path.iterdir()) == []


def test_an_index_arrives_here_or_where_it_is_told_to(tmp_path: Path) -> None:
    assert folder_to_import_into(None, tmp_path) == tmp_path / ".ragcli"
    assert folder_to_import_into(tmp_path / "x", tmp_path) == tmp_path / "x"
