from __future__ import annotations

import shutil
import sqlite3
import struct
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pytest

from ragcli.store import Index
from ragcli.store.vectors.derivation import Derivation, flat_derivation
from ragcli.store.vectors.file import MAPPED_BYTES, Footer, VectorFile
from ragcli.store.vectors.flat import FlatVectors
from ragcli.store.vectors.library import FaissIndex
from ragcli.store.vectors.stored import StoredVectors

if TYPE_CHECKING:
    from conftest import Bench

LINEAGE = uuid.UUID(int=7)
FOOTER = Footer(LINEAGE, 12, 14, flat_derivation("flat", 5))


def _index(bench: Bench, count: int = 5) -> FlatVectors:
    vectors = FlatVectors(4)
    ids, blob = np.arange(count) + 10, bench.unit(count, seed=3).tobytes()
    stored = StoredVectors(4, lambda wanted: [(list(wanted), blob)], lambda: ids)
    vectors.bring_in_step(ids, stored)
    return vectors


def _load(file: VectorFile) -> tuple[FaissIndex, Footer] | None:
    return file.load(lambda footer: footer.lineage == LINEAGE, lambda _: True)


def test_what_was_saved_is_loaded(tmp_path: Path, bench: Bench) -> None:
    saved = _index(bench)
    tuned = Derivation("ivf", "IVF4,SQ8", 100, 0.95, 0.96, "nprobe", 2)
    footer = Footer(LINEAGE, 12, 14, tuned)
    assert VectorFile(tmp_path).save(saved.faiss_index, footer)
    loaded = _load(VectorFile(tmp_path))
    assert loaded is not None
    assert loaded[1] == VectorFile(tmp_path).footer() == footer
    vectors = FlatVectors(4, loaded[0])
    assert vectors.search(bench.unit(4, seed=1), 9) == saved.search(bench.unit(4, seed=1), 9)
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.faiss"]
    assert faiss.read_index(str(tmp_path / "vectors.faiss")).ntotal == 5  # plain FAISS reads it


def test_every_damaged_byte_and_every_length_is_noticed(tmp_path: Path, bench: Bench) -> None:
    file = VectorFile(tmp_path)
    file.save(_index(bench, 2).faiss_index, FOOTER)
    path = tmp_path / "vectors.faiss"
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        assert _load(file) is None, position
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert _load(file) is None, length
    path.write_bytes(whole + b"more")
    assert _load(file) is None
    path.write_bytes(whole)
    assert _load(file) is not None


def test_a_large_file_is_mapped_and_still_its_end_is_checked(tmp_path: Path, bench: Bench) -> None:
    vectors = FlatVectors(256)
    rows = bench.unit(MAPPED_BYTES // 1024 + 1, seed=1, dimension=256)
    vectors.faiss_index.add_with_ids(rows, np.arange(len(rows)))
    file = VectorFile(tmp_path)
    file.save(vectors.faiss_index, FOOTER)
    loaded = _load(file)
    assert loaded is not None
    assert FlatVectors(256, loaded[0]).search(rows[:3], 5) == vectors.search(rows[:3], 5)
    path = tmp_path / "vectors.faiss"
    size = path.stat().st_size
    with path.open("r+b") as torn:
        torn.truncate(size - 1)
    assert _load(file) is None


def test_vectors_of_another_index_are_not_taken(tmp_path: Path, bench: Bench) -> None:
    file = VectorFile(tmp_path)
    assert _load(file) is None
    assert file.footer() is None
    file.save(_index(bench).faiss_index, Footer(uuid.UUID(int=8), 12, 14, FOOTER.derivation))
    assert _load(file) is None


@pytest.mark.parametrize("factory", ["Flat", "IDMap2,Flat", "IDMap2,SQ8"])
def test_a_file_that_is_not_what_it_says_is_made_anew(
    tmp_path: Path, bench: Bench, factory: str
) -> None:
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "a", bench.unit(3, seed=0))
        index.commit()
    file = VectorFile(tmp_path)
    footer = file.footer()
    assert footer is not None
    dimension = 5 if factory == "IDMap2,Flat" else 4
    other = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    other.train(bench.unit(9, seed=1, dimension=dimension))
    file.save(other, footer)
    with Index.open(tmp_path) as index:
        bench.assert_holds(index, bench.by_text({"a": ("0", bench.unit(3, seed=0))}))


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, bench: Bench) -> None:
    assert not VectorFile(tmp_path / "missing").save(_index(bench).faiss_index, FOOTER)
    (tmp_path / "vectors.faiss").mkdir()  # cannot be replaced by a file
    (tmp_path / "vectors.faiss" / "content").touch()
    assert not VectorFile(tmp_path).save(_index(bench).faiss_index, FOOTER)
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.faiss"]


def test_a_commit_reads_only_what_changed(tmp_path: Path, bench: Bench) -> None:
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "a", bench.unit(3, seed=0))
        index.commit()
    _overwrite_vectors(tmp_path / "catalogue.sqlite")
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "b", bench.unit(2, seed=1))
        index.commit()
    held = {"a": ("0", bench.unit(3, seed=0)), "b": ("0", bench.unit(2, seed=1))}
    with Index.open(tmp_path) as index:  # the vectors that the catalogue had when they were added
        bench.assert_holds(index, bench.by_text(held))
    (tmp_path / "vectors.faiss").unlink()
    with Index.open(tmp_path) as index:  # now there is nothing but the catalogue
        assert [score for _, score in index.search(bench.unit(1, seed=2), 9)[0]].count(0.0) == 3


def _overwrite_vectors(catalogue: Path) -> None:
    connection = sqlite3.connect(catalogue)
    with connection:
        connection.execute("UPDATE vectors SET vector = ?", (struct.pack("<4f", 0, 0, 0, 0),))
    connection.close()


def test_a_reader_mends_a_missing_file_for_the_next(tmp_path: Path, bench: Bench) -> None:
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "a", bench.unit(3, seed=0))
        index.commit()
    file = tmp_path / "vectors.faiss"
    whole = file.read_bytes()
    file.unlink()
    with Index.open(tmp_path) as index:
        index.search(bench.unit(1, seed=0), 1)
    assert file.read_bytes() == whole


def test_a_catalogue_from_a_backup_does_not_meet_newer_vectors(
    tmp_path: Path, bench: Bench
) -> None:
    folder, backup = tmp_path / "index", tmp_path / "backup.sqlite"
    with Index.create_or_open(folder, bench.fingerprint) as index:
        bench.fill(index, "a", bench.unit(3, seed=0))
        index.commit()
    shutil.copy(folder / "catalogue.sqlite", backup)
    with Index.create_or_open(folder, bench.fingerprint) as index:
        bench.fill(index, "b", bench.unit(2, seed=1))
        index.commit()
    shutil.copy(backup, folder / "catalogue.sqlite")
    held = {"a": ("0", bench.unit(3, seed=0)), "c": ("0", bench.unit(2, seed=7))}
    with Index.create_or_open(folder, bench.fingerprint) as index:
        bench.fill(index, "c", held["c"][1])  # gets the ids that "b" had
        index.commit()
    with Index.open(folder) as index:
        bench.assert_holds(index, bench.by_text(held))


def test_vectors_of_an_index_that_was_here_before_are_not_taken(
    tmp_path: Path, bench: Bench
) -> None:
    for seed in (0, 1):
        with Index.create_or_open(tmp_path, bench.fingerprint) as index:
            bench.fill(index, "a", bench.unit(3, seed))
            index.commit()
            bench.assert_holds(index, bench.by_text({"a": ("0", bench.unit(3, seed))}))
        (tmp_path / "catalogue.sqlite").unlink()  # the vectors file stays, with the same ids


def test_a_writer_clears_what_a_killed_one_left(tmp_path: Path, bench: Bench) -> None:
    leftover = tmp_path / "vectors.faiss.0123.tmp"
    leftover.touch()
    Index.create_or_open(tmp_path, bench.fingerprint).close()
    assert not leftover.exists()


@pytest.mark.parametrize("copies", [1, 40, 400])
def test_scores_do_not_depend_on_the_batch_and_ties_go_to_the_lower_id(
    bench: Bench, copies: int
) -> None:
    """FAISS's own scores do both in large batches, where it multiplies matrices by blocks."""
    dimension, k = 96, 20
    distinct = bench.unit(4000 // copies, seed=1, dimension=dimension)
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(len(distinct)), copies))
    stored = np.ascontiguousarray(distinct[rows])
    ids = np.random.default_rng(3).permutation(len(stored)).astype(np.int64)
    plain = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
    plain.add_with_ids(stored, ids)
    vectors = FlatVectors(dimension, plain)
    queries = np.concatenate([distinct[:50], bench.unit(150, seed=4, dimension=dimension)])
    batch = vectors.search(queries, k)
    by_id = dict(zip(ids.tolist(), stored, strict=True))
    for number in (0, 1, 77, len(queries) - 1):
        assert vectors.search(queries[number : number + 1], k) == [batch[number]]
        assert batch[number] == bench.ranked(by_id, queries[number], k)


def test_what_cannot_be_searched_is_refused(bench: Bench) -> None:
    vectors = _index(bench)
    infinite = np.array([[1, np.nan, 0, 0]], np.float32)
    for queries in (bench.unit(1, seed=0)[0], bench.unit(2, seed=0, dimension=3), infinite):
        with pytest.raises(ValueError, match="expected"):
            vectors.search(queries, 3)
    with pytest.raises(ValueError, match="at least 1"):
        vectors.search(bench.unit(1, seed=0), 0)
