from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.errors import (
    IndexBusyError,
    IndexMismatchError,
    IndexMissingError,
    RagcliError,
)
from ragcli.records import Document, Passage
from ragcli.store import Index

if TYPE_CHECKING:
    from conftest import Bench


def _filled(folder: Path, bench: Bench, sizes: Mapping[str, int]) -> None:
    with Index.create_or_open(folder, bench.fingerprint) as index:
        for seed, (path, size) in enumerate(sizes.items()):
            bench.fill(index, path, bench.unit(size, seed))
        index.commit()


def test_an_empty_index_finds_nothing(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {})
    with Index.open(tmp_path) as index:
        assert index.search(bench.unit(2, seed=1), 5) == [[], []]
        assert index.search(bench.unit(0, seed=1), 5) == []
        assert index.sources() == []


def test_fewer_passages_than_asked_for_give_fewer_hits(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {"a": 3})
    with Index.open(tmp_path) as index:
        [hits] = index.search(bench.unit(1, seed=9), 50)
    assert len(hits) == 3
    assert all(passage_id > 0 for passage_id, _ in hits)


def test_passages_come_in_the_order_asked_for(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {"a": 6})
    with Index.open(tmp_path) as index:
        ids = [passage_id for passage_id, _ in index.search(bench.unit(1, seed=9), 6)[0]]
        for order in (sorted(ids), sorted(ids, reverse=True), [ids[2], ids[2]]):
            assert [stored.passage_id for stored in index.passages(order)] == order
        with pytest.raises(KeyError):
            index.passages([ids[0], 10**6])


def test_the_summary_counts_and_needs_no_heavy_library(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {"a": 3, "b": 2})
    code = (
        "import sys; from pathlib import Path; from ragcli.store import Index\n"
        f"with Index.open(Path({str(tmp_path)!r})) as index: summary = index.summary()\n"
        "loaded = sorted({'faiss', 'numpy', 'torch', 'transformers'} & set(sys.modules))\n"
        "sys.stdout.write(f'{summary.sources} {summary.documents} {summary.passages} {loaded}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "2 2 5 []"
    with Index.open(tmp_path) as index:
        summary = index.summary()
    assert summary.fingerprint == bench.fingerprint
    assert summary.created_at <= summary.updated_at
    assert summary.created_at.tzinfo is not None
    assert summary.bytes_on_disk >= (tmp_path / "catalogue.sqlite").stat().st_size


def test_a_reader_keeps_seeing_the_commit_it_opened(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {"a": 3})
    with Index.open(tmp_path) as early, Index.open(tmp_path) as searched:
        old = {"a": ("0", bench.unit(3, seed=0))}
        bench.assert_holds(searched, bench.by_text(old))
        with Index.create_or_open(tmp_path, bench.fingerprint) as writer:
            bench.fill(writer, "b", bench.unit(4, seed=5))
            writer.remove_source("a")
            with Index.open(tmp_path) as during:
                bench.assert_holds(during, bench.by_text(old))
            writer.commit()
            with Index.open(tmp_path) as after:
                bench.assert_holds(after, bench.by_text({"b": ("0", bench.unit(4, seed=5))}))
        bench.assert_holds(searched, bench.by_text(old))
        bench.assert_holds(early, bench.by_text(old))  # reads a vectors file newer than itself


def test_an_error_inside_the_block_drops_what_was_not_committed(
    tmp_path: Path, bench: Bench
) -> None:
    _filled(tmp_path, bench, {"a": 3})

    def fail_half_way() -> None:
        with Index.create_or_open(tmp_path, bench.fingerprint) as index:
            bench.fill(index, "b", bench.unit(4, seed=5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.assert_holds(index, bench.by_text({"a": ("0", bench.unit(3, seed=0))}))


def test_a_source_that_does_not_fit_changes_nothing(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {"a": 3})
    document, passages, vectors = bench.embedded("a", bench.unit(2, seed=4))
    infinite = vectors.copy()
    infinite[1, 2] = np.inf
    moved = [dataclasses.replace(passages[0], start=1, end=len(passages[0].text) + 1), passages[1]]
    unfit = [
        [(document, passages, vectors[:1])],
        [(document, passages, vectors[:, :3])],
        [(document, passages, infinite)],
        [(document, moved, vectors)],
        [(dataclasses.replace(document, path="other"), passages, vectors)],
        [(document, passages, vectors)] * 2,
    ]
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        for documents in unfit:
            with pytest.raises(ValueError, match="document"):
                index.replace_source(bench.source("a"), documents)
        bench.assert_holds(index, bench.by_text({"a": ("0", bench.unit(3, seed=0))}))


def test_a_touched_source_keeps_its_passages(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {"a": 3})
    before = (tmp_path / "vectors.faiss").read_bytes()
    touched = dataclasses.replace(bench.source("a"), modified_ns=2**60, size=11)
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        index.update_source(touched)
        with pytest.raises(KeyError):
            index.update_source(dataclasses.replace(touched, path="unknown"))
        index.commit()
    with Index.open(tmp_path) as reader:
        assert reader.sources() == [touched]
        assert reader.summary().passages == 3
    assert (tmp_path / "vectors.faiss").read_bytes() == before


def test_only_one_writer_and_no_changes_by_a_reader(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {"a": 1})
    with Index.create_or_open(tmp_path, bench.fingerprint), pytest.raises(IndexBusyError):
        Index.create_or_open(tmp_path, bench.fingerprint)
    with Index.open(tmp_path) as reader, pytest.raises(ValueError, match="reading"):
        reader.remove_source("a")


def test_another_fingerprint_is_refused_and_rebuilding_accepts_it(
    tmp_path: Path, bench: Bench
) -> None:
    _filled(tmp_path, bench, {"a": 3})
    other = dataclasses.replace(bench.fingerprint, encoder_revision="revision-2", dimension=2)
    with pytest.raises(IndexMismatchError, match=r"'revision-1' \(now 'revision-2'\)") as caught:
        Index.create_or_open(tmp_path, other)
    assert "--rebuild" in caught.value.remedy
    vectors = bench.unit(2, seed=3, dimension=2)
    for adopted in (False, True):
        with Index.create_or_open(tmp_path, other, rebuild=True) as index:
            bench.fill(index, "b" if adopted else "a", vectors)
            index.commit()
            with Index.open(tmp_path) as reader:
                bench.assert_holds(reader, bench.by_text({"a": ("0", bench.unit(3, seed=0))}))
            if adopted:
                assert [source.path for source in index.sources()] == ["a", "b"]
                assert index.remove_source("a") == 2
                index.commit()
                index.adopt()
    assert not list(tmp_path.glob("rebuild*"))
    with Index.open(tmp_path) as index:
        assert index.fingerprint == other
        assert [len(hits) for hits in index.search(vectors, 9)] == [2, 2]


def test_no_index_says_what_to_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(IndexMissingError, match="ragcli index PATH"):
            Index.open(folder)
    (tmp_path / "catalogue.sqlite").touch()  # killed before the first table was made
    with pytest.raises(IndexMissingError):
        Index.open(tmp_path)


def test_what_is_no_catalogue_is_refused_and_left_alone(tmp_path: Path, bench: Bench) -> None:
    catalogue = tmp_path / "catalogue.sqlite"
    catalogue.write_bytes(b"not a database, but long enough to be looked at" * 20)
    before = catalogue.read_bytes()
    for attempt in (
        lambda: Index.open(tmp_path),
        lambda: Index.create_or_open(tmp_path, bench.fingerprint),
    ):
        with pytest.raises(IndexMismatchError, match="damaged or no index"):
            attempt()
    assert catalogue.read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_expected_error(tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RagcliError, match="--index"):
        Index.create_or_open(tmp_path / "file", bench.fingerprint)


def test_a_record_and_its_pages_are_cited(tmp_path: Path, bench: Bench) -> None:
    text = "first page\nsecond page\nthird"
    document = Document("id-7", "book.pdf", text, "hash", page_starts=(0, 11, 23))
    passages = [Passage(0, 5, text[:5], page=1), Passage(5, 28, text[5:], page=1)]
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        index.replace_source(
            bench.source("book.pdf"), [(document, passages, np.eye(2, 4, dtype=np.float32))]
        )
        index.commit()
        [[(passage_id, score)]] = index.search(np.eye(2, 4, dtype=np.float32)[1:], 1)
        [stored] = index.passages([passage_id])
    assert score == 1.0
    assert stored.document_id == "id-7"
    assert stored.page_breaks == (6, 18)
    assert [stored.page_at(offset) for offset in (0, 5, 6, 17, 18)] == [1, 1, 2, 2, 3]


def test_ids_are_never_given_to_another_passage(tmp_path: Path, bench: Bench) -> None:
    seen: set[int] = set()
    for seed in range(4):
        with Index.create_or_open(tmp_path, bench.fingerprint, rebuild=seed == 2) as index:
            bench.fill(index, "a", bench.unit(3, seed))
            index.commit()
            index.adopt()
            ids = {passage_id for passage_id, _ in index.search(bench.unit(1, 0), 9)[0]}
        assert len(ids) == 3
        assert not ids & seen
        seen |= ids


def test_bytes_of_the_catalogue_hold_every_vector(tmp_path: Path, bench: Bench) -> None:
    _filled(tmp_path, bench, {"a": 3})
    connection = sqlite3.connect(tmp_path / "catalogue.sqlite")
    blobs = [row[0] for row in connection.execute("SELECT vector FROM vectors ORDER BY passage_id")]
    connection.close()
    assert np.array_equal(
        np.frombuffer(b"".join(blobs), "<f4").reshape(3, 4), bench.unit(3, seed=0)
    )


def test_a_choice_is_kept_with_the_next_commit_and_through_a_rebuild(
    tmp_path: Path, bench: Bench
) -> None:
    _filled(tmp_path, bench, {"a": 1})
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        index.prefer("colour", "red")
        index.commit()
        index.prefer("colour", "blue")  # not committed
    with Index.create_or_open(tmp_path, bench.fingerprint, rebuild=True) as index:
        index.adopt()
    with Index.open(tmp_path) as index:
        assert index.preferences() == {"colour": "red"}
        assert index.sources() == []
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        index.prefer("colour", None)
        index.commit()
    with Index.open(tmp_path) as index:
        assert index.preferences() == {}


def test_the_mean_vector_is_that_of_the_passages_shown(tmp_path: Path, bench: Bench) -> None:
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        assert index.mean_vector().tolist() == [0.0] * bench.fingerprint.dimension
        bench.fill(index, "a", bench.unit(5, seed=1))
        assert index.mean_vector() == pytest.approx(bench.unit(5, seed=1).mean(axis=0))
        bench.fill(index, "a", bench.unit(7, seed=2))
        assert index.mean_vector() == pytest.approx(bench.unit(7, seed=2).mean(axis=0))


def test_the_mean_of_many_is_taken_from_a_spread_sample(tmp_path: Path, bench: Bench) -> None:
    many = bench.unit(3000, seed=3)
    _filled(tmp_path, bench, {})
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "a", many)
        assert np.abs(index.mean_vector() - many.mean(axis=0)).max() < 0.05
        bench.fill(index, "b", np.tile(many[:1], (3000, 1)))
        halves = (many.mean(axis=0) + many[0]) / 2
        assert np.abs(index.mean_vector() - halves).max() < 0.05


def test_a_stem_is_counted_by_the_passages_that_hold_it_now(tmp_path: Path, bench: Bench) -> None:
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "apple", bench.unit(3, seed=1))
        bench.fill(index, "pear", bench.unit(2, seed=2))
        assert index.document_frequencies(["appl", "pear", "plum"]) == {"appl": 3, "pear": 2}
        assert index.passage_count() == 5
        index.remove_source("apple")
        assert index.document_frequencies(["appl", "pear"]) == {"pear": 2}
        assert index.passage_count() == 2
        index.commit()
    with Index.open(tmp_path) as index:
        assert index.document_frequencies(["appl", "pear"]) == {"pear": 2}


def test_a_rebuild_that_cannot_take_its_place_leaves_the_index_as_it_was(
    tmp_path: Path, bench: Bench
) -> None:
    _filled(tmp_path, bench, {"a": 3})
    index = Index.create_or_open(tmp_path, bench.fingerprint, rebuild=True)
    bench.fill(index, "b", bench.unit(2, seed=2))
    index.commit()
    held = sqlite3.connect(tmp_path / "catalogue.sqlite", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")  # whatever keeps the catalogue from being written
    with pytest.raises(RagcliError, match="cannot use the index"), index:
        index.adopt()
    held.close()
    with Index.open(tmp_path) as reader:
        bench.assert_holds(reader, bench.by_text({"a": ("0", bench.unit(3, seed=0))}))
    with Index.create_or_open(tmp_path, bench.fingerprint, rebuild=True) as index:
        assert [source.path for source in index.sources()] == ["b"]
        index.adopt()
    with Index.open(tmp_path) as reader:
        assert [source.path for source in reader.sources()] == ["b"]
