"""Giving back space: what is kept, what goes, and who may look on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.errors import IndexMismatchError
from ragcli.store import (
    DAMAGED,
    INCOMPLETE,
    Index,
    SourceState,
    check_folder,
    compact_catalogue,
    folder_bytes,
    locked,
)

if TYPE_CHECKING:
    from conftest import Bench, Shelf

CATALOGUE = "catalogue.sqlite"


@pytest.fixture
def folder(tmp_path: Path, shelf: Shelf) -> Path:
    """An index from which the largest file was removed."""
    folder = tmp_path / "index"
    shelf.fill(folder)
    with Index.create_or_open(folder, shelf.fingerprint) as index:
        index.remove_source("book.txt")
        index.commit()
    return folder


def _hits(index: Index) -> list[tuple[int, float]]:
    return index.search(np.eye(1, 4, dtype=np.float32), 9)[0]


def test_the_space_of_what_was_removed_is_free_and_nothing_else_has_changed(
    folder: Path, shelf: Shelf
) -> None:
    with Index.open(folder) as index:
        hits, before = _hits(index), folder_bytes(folder)
    held = shelf.held(folder)
    with locked(folder):
        compacted = compact_catalogue(folder)
    assert compacted.is_shrunk
    assert not compacted.dropped_rebuild
    assert folder_bytes(folder) < before * 0.6
    assert shelf.held(folder) == held
    with Index.open(folder) as index:
        assert _hits(index) == hits
        assert index.preferences() == {"colour": "green"}
    assert [one for one in check_folder(folder) if one.state == DAMAGED] == []
    shelf.assert_searchable(folder)
    assert not (folder / f"{CATALOGUE}-wal").exists()


def test_a_second_time_nothing_is_left_to_do(folder: Path) -> None:
    with locked(folder):
        compact_catalogue(folder)
        size = (folder / CATALOGUE).stat().st_size
        vectors = (folder / "vectors.faiss").read_bytes()
        compact_catalogue(folder)
    assert (folder / CATALOGUE).stat().st_size == size
    assert (folder / "vectors.faiss").read_bytes() == vectors


def test_a_reader_goes_on_with_what_it_saw(folder: Path, shelf: Shelf) -> None:
    with Index.open(folder) as reader:
        hits = _hits(reader)
        texts = [document.text for document in reader.documents("facts.jsonl")]
        with locked(folder):
            assert not compact_catalogue(folder).is_shrunk
        assert [document.text for document in reader.documents("facts.jsonl")] == texts
        assert _hits(reader) == hits
        with Index.open(folder) as later:
            assert _hits(later) == hits
        large = folder_bytes(folder)
    with locked(folder):
        assert compact_catalogue(folder).is_shrunk
    assert folder_bytes(folder) < large * 0.6
    shelf.assert_searchable(folder)


@pytest.mark.parametrize("is_at_work", [False, True])
def test_vectors_that_are_kept_go_only_when_no_file_waits_for_them(
    folder: Path, shelf: Shelf, is_at_work: bool
) -> None:
    with Index.create_or_open(folder, shelf.fingerprint) as index:
        index.keep_vectors([b"a text's hash..."], np.eye(1, 4, dtype=np.float32))
        if is_at_work:
            index.begin_source(SourceState("long.txt", INCOMPLETE, 1, 1))
        index.commit()
    with locked(folder):
        compact_catalogue(folder)
    with closing(sqlite3.connect(folder / CATALOGUE)) as connection:
        [(kept,)] = connection.execute("SELECT count(*) FROM kept_vectors").fetchall()
    assert kept == int(is_at_work)


def test_an_unfinished_rebuild_is_given_up(folder: Path, shelf: Shelf) -> None:
    with Index.create_or_open(folder, shelf.fingerprint, rebuild=True) as index:
        shelf.put(index, "new.txt", ["New."])
        index.commit()
    with locked(folder):
        assert compact_catalogue(folder).dropped_rebuild
    assert sorted(file.name for file in folder.iterdir()) == [
        CATALOGUE,
        "vectors.faiss",
        "write.lock",
    ]
    assert "new.txt" not in shelf.held(folder)


def test_vectors_that_could_not_be_removed_go_with_their_file(tmp_path: Path, bench: Bench) -> None:
    """HNSW marks what is gone and keeps it."""
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        index.choose("HNSW8,Flat")
        for number in range(8):
            bench.fill(index, f"{number}.txt", bench.unit(20, number))
        index.commit()
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        index.remove_source("3.txt")
        index.commit()
    spared = (tmp_path / "vectors.faiss").stat().st_size
    with locked(tmp_path):
        compact_catalogue(tmp_path)
    assert not (tmp_path / "vectors.faiss").exists()
    Index.create_or_open(tmp_path, bench.fingerprint).close()
    assert (tmp_path / "vectors.faiss").stat().st_size < spared


def test_a_damaged_catalogue_is_told_and_left(folder: Path) -> None:
    content = (folder / CATALOGUE).read_bytes()
    damaged = content[: 20 * 16384] + bytes(16384) + content[21 * 16384 :]
    (folder / CATALOGUE).write_bytes(damaged)
    with locked(folder), pytest.raises(IndexMismatchError, match="is damaged") as caught:
        compact_catalogue(folder)
    assert "doctor --repair" in caught.value.remedy
    assert (folder / CATALOGUE).stat().st_size == len(content)
