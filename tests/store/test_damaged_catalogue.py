"""A catalogue with holes in it, folders with odd names, and more passages than a batch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.errors import IndexBusyError, IndexMismatchError
from ragcli.store import Index
from ragcli.store.connection import is_damage

if TYPE_CHECKING:
    from conftest import Bench

PAGE = 16384
QUERY = np.eye(1, 4, dtype=np.float32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, bench: Bench) -> bytes:
    """The bytes of a catalogue of several pages."""
    folder = tmp_path_factory.mktemp("whole")
    with Index.create_or_open(folder, bench.fingerprint) as index:
        for seed, path in enumerate(("a", "b", "c")):
            bench.fill(index, path, bench.unit(200, seed))
        index.commit()
    return (folder / "catalogue.sqlite").read_bytes()


def _read(folder: Path, bench: Bench) -> None:
    with Index.open(folder) as index:
        index.summary()
        index.sources()
        index.documents("b")
        index.passages([passage_id for passage_id, _ in index.search(QUERY, 9)[0]])


def _write(folder: Path, bench: Bench) -> None:
    with Index.create_or_open(folder, bench.fingerprint) as index:
        index.remove_source("b")
        index.commit()


@pytest.mark.parametrize("use", [_read, _write])
def test_a_hole_in_the_catalogue_is_told_with_its_remedy(
    tmp_path: Path, bench: Bench, whole: bytes, use: Callable[[Path, Bench], None]
) -> None:
    remedies: list[str] = []
    for page in range(len(whole) // PAGE):
        folder = tmp_path / str(page)
        folder.mkdir()
        damaged = whole[: page * PAGE] + b"\0" * PAGE + whole[(page + 1) * PAGE :]
        (folder / "catalogue.sqlite").write_bytes(damaged)
        try:
            use(folder, bench)
        except IndexMismatchError as error:
            remedies.append(error.remedy)
    assert len(remedies) >= len(whole) // PAGE // 2
    assert set(remedies) == {'run "ragcli doctor --repair" to save what can be read'}


def test_a_catalogue_cut_short_is_told_by_reader_and_writer(
    tmp_path: Path, bench: Bench, whole: bytes
) -> None:
    for length in (101, PAGE - 1, PAGE, len(whole) - PAGE):
        (tmp_path / "catalogue.sqlite").write_bytes(whole[:length])
        for use in (_read, _write):
            with pytest.raises(IndexMismatchError, match="damaged or no index"):
                use(tmp_path, bench)


@pytest.mark.parametrize("name", ["a b%20?#ü", "x;y&mode=ro", "q\"'", "-leading"])
def test_a_folder_of_any_name_holds_an_index(tmp_path: Path, bench: Bench, name: str) -> None:
    folder = tmp_path / name / ".ragcli"
    with Index.create_or_open(folder, bench.fingerprint) as index:
        bench.fill(index, "a", bench.unit(3, seed=1))
        index.commit()
    with Index.open(folder) as index:
        bench.assert_holds(index, bench.by_text({"a": ("0", bench.unit(3, seed=1))}))
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_more_passages_than_a_batch_come_back_from_the_catalogue(
    tmp_path: Path, bench: Bench
) -> None:
    vectors = bench.unit(4100, seed=3)
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "a", vectors)
        index.commit()
    (tmp_path / "vectors.faiss").unlink()
    with Index.open(tmp_path) as index:
        [hits] = index.search(QUERY, 5000)
        ids = [passage_id for passage_id, _ in hits]
        assert len(set(ids)) == len(ids) == 4100
        assert min(ids) > 0
        stored = index.passages(ids)
    assert [one.passage_id for one in stored] == ids
    best = np.argsort(-vectors[:, 0], kind="stable")[:20]
    assert [one.passage.text for one in stored[:20]] == [f"a 0 {position}." for position in best]


@pytest.mark.parametrize("holder", ["", "{", "[]", "{}", json.dumps({"pid": 1})])
def test_a_holder_file_that_says_nothing_bars_a_second_writer_all_the_same(
    tmp_path: Path, bench: Bench, holder: str
) -> None:
    with Index.create_or_open(tmp_path, bench.fingerprint):
        (tmp_path / "write.holder.json").write_text(holder)
        with pytest.raises(IndexBusyError, match="another process") as caught:
            Index.create_or_open(tmp_path, bench.fingerprint)
    assert "wait" in caught.value.remedy


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("SQL logic error", True),
        ("no such fts5 table: main.words", True),
        ("Could not decode to UTF-8 column 'text' with text 'x'", True),
        ("database or disk is full", False),
        ("database is locked", False),
        ("disk I/O error", False),
    ],
)
def test_damage_is_told_from_trouble_with_the_disk_also_without_codes(
    message: str, told: bool
) -> None:
    """Python 3.10 gives no code of SQLite's."""
    assert is_damage(sqlite3.OperationalError(message)) == told
    assert is_damage(sqlite3.DatabaseError(message))
