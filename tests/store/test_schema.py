from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.errors import IndexMismatchError
from ragcli.store import SOUND, Index, check_folder
from ragcli.store.rows import text_hash
from ragcli.store.schema import MIGRATIONS, check_schema, migrate, schema_version

if TYPE_CHECKING:
    from conftest import Bench

SECOND = "CREATE TABLE added (value INTEGER); INSERT INTO added SELECT count(*) FROM passages;"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(tmp_path / "catalogue.sqlite", isolation_level=None)
    yield opened
    opened.close()


def test_migrations_are_run_once_and_in_order(connection: sqlite3.Connection) -> None:
    assert schema_version(connection) == 0
    migrate(connection)
    migrate(connection)
    assert check_schema(connection) == len(MIGRATIONS)
    later = (*MIGRATIONS, SECOND)
    migrate(connection, later)
    migrate(connection, later)
    assert check_schema(connection, later) == len(later)
    assert connection.execute("SELECT value FROM added").fetchall() == [(0,)]


def test_a_failed_migration_leaves_the_schema_as_it_was(connection: sqlite3.Connection) -> None:
    migrate(connection)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, (*MIGRATIONS, f"{SECOND} INSERT INTO nowhere VALUES (1);"))
    assert check_schema(connection) == len(MIGRATIONS)
    migrate(connection, (*MIGRATIONS, SECOND))


def test_an_index_of_the_first_version_gets_its_words(
    tmp_path: Path, bench: Bench, connection: sqlite3.Connection
) -> None:
    """Schema 1 had no inverted index."""
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        bench.fill(index, "kept.txt", bench.unit(2, seed=1))
        bench.fill(index, "gone.txt", bench.unit(2, seed=2))
        index.commit()
    connection.executescript(
        "DROP TABLE words; DROP INDEX documents_described; DROP TABLE preferences;"
        "DROP TABLE document_words; DROP TABLE kept_vectors; DROP INDEX passages_by_text;"
        "ALTER TABLE passages DROP COLUMN text_hash;"
        "PRAGMA user_version = 1;"
    )
    with pytest.raises(IndexMismatchError, match="older ragcli"):
        Index.open(tmp_path)
    with Index.create_or_open(tmp_path, bench.fingerprint) as index:
        index.remove_source("gone.txt")
        index.commit()
        found = [passage_id for passage_id, _ in index.search_words("kept OR gone", 9)]
        texts = {stored.passage.text for stored in index.passages(found)}
        bench.assert_scores_documents(index, found)
    assert texts == {"kept.txt 0 0.", "kept.txt 0 1."}


def test_a_newer_index_is_refused_by_readers_and_writers(
    tmp_path: Path, connection: sqlite3.Connection, bench: Bench
) -> None:
    migrate(connection, (*MIGRATIONS, SECOND))
    with pytest.raises(IndexMismatchError, match="newer"):
        Index.open(tmp_path)
    with pytest.raises(IndexMismatchError, match="newer"):
        Index.create_or_open(tmp_path, bench.fingerprint)
    assert schema_version(connection) == len(MIGRATIONS) + 1


def test_the_database_of_another_program_is_left_alone(
    tmp_path: Path, connection: sqlite3.Connection, bench: Bench
) -> None:
    connection.execute("CREATE TABLE theirs (value)")
    with pytest.raises(IndexMismatchError, match="another program"):
        Index.create_or_open(tmp_path, bench.fingerprint)
    tables = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    assert tables == [("theirs",)]


def test_ids_are_read_without_reading_texts(connection: sqlite3.Connection) -> None:
    migrate(connection)
    plan = connection.execute("EXPLAIN QUERY PLAN SELECT passage_id FROM passages").fetchall()
    assert "COVERING INDEX" in plan[0][3]


FIXTURES = Path(__file__).with_name("fixtures")


def test_an_index_that_an_earlier_version_wrote_is_brought_up_to_date(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "schema-4", tmp_path / "index")
    with pytest.raises(IndexMismatchError, match="older ragcli"):
        Index.open(tmp_path / "index")
    Index.bring_up_to_date(tmp_path / "index")
    with Index.open(tmp_path / "index") as index:
        assert [source.path for source in index.sources()] == [
            "docs/boiler.txt",
            "docs/drinks.jsonl",
            "docs/leave.md",
        ]
        stored = index.passages([1, 2, 3, 4])
        by_text = {text_hash(s.title, s.passage.heading, s.passage.text): s for s in stored}
        vectors = index.vectors_of_texts(list(by_text))
        for of_text, found in by_text.items():
            own = index.vectors([found.passage_id])[0]
            assert np.array_equal(vectors[of_text], own)
            assert index.search(own[None], 1)[0][0][0] == found.passage_id


def test_an_index_of_schema_5_is_read_whole(tmp_path: Path) -> None:
    docs = FIXTURES / "schema-5" / "docs"
    shutil.copytree(FIXTURES / "schema-5", tmp_path / "index")
    Index.bring_up_to_date(tmp_path / "index")
    assert [one for one in check_folder(tmp_path / "index") if one.state != SOUND] == []
    with Index.open(tmp_path / "index") as index:
        held = {
            document.document_id: (document, passages, vectors)
            for source in index.sources()
            for document, passages, vectors in index.embedded_documents(source.path)
        }
        assert index.summary().index_choice == "flat"
        for document, passages, vectors in held.values():
            assert passages
            for passage, vector in zip(passages, vectors, strict=True):
                assert document.text[passage.start : passage.end] == passage.text
                [(found, score)] = index.search(vector[None], 1)[0]
                assert score == pytest.approx(1, abs=1e-4)
                assert index.passages([found])[0].passage.text == passage.text
        assert index.search_words('"harbour"', 50)
        assert index.search_words('"removed"', 50) == []
    assert held["docs/log.txt"][0].text == (docs / "log.txt").read_text()
    assert len(held["docs/log.txt"][1]) > 10
    handbook = held["docs/handbook.md"][0]
    assert [heading.text for heading in handbook.headings] == [
        "Handbook",
        "Leave",
        "Travel",
        "Expenses",
    ]
    assert handbook.metadata == {"author": "The staff council"}
