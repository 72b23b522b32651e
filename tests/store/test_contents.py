from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.errors import IndexMismatchError
from ragcli.records import Document
from ragcli.store import HeldDocument, HeldSource, Index

if TYPE_CHECKING:
    from conftest import Bench

PATHS = ("a.md", "b/ü.txt", "c\udcff.pdf")


def _fill(folder: Path, bench: Bench) -> None:
    """Sources of which each has a document ``0`` with three passages and ``1`` with two."""
    with Index.create_or_open(folder, bench.fingerprint) as index:
        for seed, path in enumerate(PATHS):
            documents = [
                bench.embedded(path, bench.unit(3, seed), "0"),
                bench.embedded(path, bench.unit(2, seed + 10), "1"),
            ]
            index.replace_source(bench.source(path), documents)
        index.commit()


def test_sources_come_with_their_counts_in_the_order_of_their_paths(
    tmp_path: Path, bench: Bench
) -> None:
    _fill(tmp_path, bench)
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        index.replace_source(bench.source("empty"), [])
        bare = (Document("empty#0", "bare", "", "hash"), [], bench.unit(0, 0))
        index.replace_source(bench.source("bare"), [bare])
        index.commit()
    with Index.open(tmp_path) as index:
        held = {
            source.state.path: (source.documents, source.passages)
            for source in index.held_sources()
        }
        assert held == {**dict.fromkeys(PATHS, (2, 5)), "bare": (1, 0), "empty": (0, 0)}
        assert list(held) == sorted(held)
        assert index.held_sources()[0] == HeldSource(bench.source("a.md"), 2, 5)
        assert list(index.held_documents("empty")) == []


def test_documents_are_listed_without_their_texts_as_they_were_added(
    tmp_path: Path, bench: Bench
) -> None:
    _fill(tmp_path, bench)
    with Index.open(tmp_path) as index:
        for path in PATHS:
            assert list(index.held_documents(path)) == [
                HeldDocument(f"{path}#0", "", 3),
                HeldDocument(f"{path}#1", "", 2),
            ]
        assert list(index.held_documents("unknown")) == []
        assert index.document_paths("a.md#1") == ["a.md"]
        assert index.document_paths("unknown") == []
        assert set(index.some_document_ids(2)) <= {f"{path}#{n}" for path in PATHS for n in (0, 1)}
        assert len(index.some_document_ids(4)) == 4


def test_embedded_documents_are_those_that_were_put(tmp_path: Path, bench: Bench) -> None:
    _fill(tmp_path, bench)
    with Index.open(tmp_path) as index:
        for seed, path in enumerate(PATHS):
            expected = [
                bench.embedded(path, bench.unit(3, seed), "0"),
                bench.embedded(path, bench.unit(2, seed + 10), "1"),
            ]
            found = list(index.embedded_documents(path))
            for (document, passages, vectors), wanted in zip(found, expected, strict=True):
                assert (document, passages) == wanted[:2]
                assert vectors.dtype == np.float32
                np.testing.assert_array_equal(vectors, wanted[2])


def test_stored_documents_tell_where_their_passages_lie(tmp_path: Path, bench: Bench) -> None:
    _fill(tmp_path, bench)
    with Index.open(tmp_path) as index:
        found = list(index.stored_documents("a.md"))
        assert [document for document, _ in found] == index.documents("a.md")
        for document, spans in found:
            stored = index.passages([passage_id for passage_id, _, _ in spans])
            texts = [document.text[start:end] for _, start, end in spans]
            assert texts == [each.passage.text for each in stored]
        [(only, _)] = index.stored_documents("a.md", "a.md#1")
        assert only.document_id == "a.md#1"


def test_a_passage_has_the_neighbours_of_its_document_only(tmp_path: Path, bench: Bench) -> None:
    _fill(tmp_path, bench)
    with Index.open(tmp_path) as index:
        ids = [stored.passage_id for stored in index.document_passages("a.md#0")]
        for count in range(4):
            for at, passage_id in enumerate(ids):
                found = [stored.passage_id for stored in index.neighbourhood(passage_id, count)]
                assert found == ids[max(at - count, 0) : at + count + 1]
        assert index.neighbourhood(10**6, 1) == []


def test_a_removed_document_takes_its_passages_vectors_and_words_along(
    tmp_path: Path, bench: Bench
) -> None:
    _fill(tmp_path, bench)
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        for path in PATHS:
            assert index.remove_document(path, f"{path}#1") == 2
        assert index.remove_document("a.md", "a.md#1") is None
        assert index.remove_document("a.md", "b/ü.txt#0") is None
        assert index.remove_document("unknown", "a.md#0") is None
        index.commit()
    left = {path: ("0", bench.unit(3, seed)) for seed, path in enumerate(PATHS)}
    with Index.open(tmp_path) as index:
        bench.assert_holds(index, bench.by_text(left))
        assert [source.path for source in index.sources()] == sorted(PATHS)


def test_a_source_whose_last_document_was_removed_stays_as_it_was(
    tmp_path: Path, bench: Bench
) -> None:
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "a", bench.unit(2, 1))
        assert index.remove_document("a", "a#0") == 2
        index.commit()
        assert index.source("a") == bench.source("a")
        assert index.held_sources() == [HeldSource(bench.source("a"), 0, 0)]


@pytest.mark.parametrize("damage", ["DELETE FROM vectors", "UPDATE vectors SET vector = x'00'"])
def test_a_passage_without_its_vector_is_named_with_the_remedy(
    tmp_path: Path, bench: Bench, damage: str
) -> None:
    _fill(tmp_path, bench)
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as connection:
        connection.execute(f"{damage} WHERE passage_id = 4")
    connection.close()
    with Index.open(tmp_path) as index:
        documents = index.embedded_documents("a.md")
        next(documents)
        with pytest.raises(IndexMismatchError, match="lacks a vector") as raised:
            next(documents)
        assert "'a.md#1'" in raised.value.message
        assert "ragcli doctor --repair" in raised.value.remedy
