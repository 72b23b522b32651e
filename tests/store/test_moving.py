"""An index as one file: what arrives, and what is refused at the door."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.errors import IndexMismatchError, IndexMissingError, InputError, RagcliError
from ragcli.store import (
    DAMAGED,
    Index,
    check_export,
    check_folder,
    export_catalogue,
    import_catalogue,
    locked,
)
from ragcli.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from conftest import Bench, Shelf

CATALOGUE = "catalogue.sqlite"
FIXTURES = Path(__file__).with_name("fixtures")
QUERIES = np.eye(4, dtype=np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shelf: Shelf) -> Path:
    folder = tmp_path_factory.mktemp("here") / "index"
    shelf.fill(folder)
    return folder


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    file = folder.parent / "index.ragcli"
    assert export_catalogue(folder, file) == file.stat().st_size
    return file


@pytest.fixture
def target(tmp_path: Path, bench: Bench) -> Path:
    """A folder that holds another index."""
    target = tmp_path / "target"
    with Index.create_or_open(target, bench.fingerprint) as index:
        bench.fill(index, "other.txt", bench.unit(3, seed=1))
        index.commit()
    return target


def _import(file: Path, folder: Path, *, replace: bool = False) -> None:
    with locked(folder):
        import_catalogue(file, folder, replace=replace)


def _hits(folder: Path) -> list[list[tuple[str, float]]]:
    with Index.open(folder) as index:
        found = index.search(QUERIES, 20)
        words = index.search_words("book OR told OR 17", 20)
        return [
            [(stored.passage.text, score) for stored, (_, score) in zip(texts, hits, strict=True)]
            for hits in (*found, words)
            for texts in [index.passages([passage_id for passage_id, _ in hits])]
        ]


def _content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "write.lock"}


# -- what arrives ----------------------------------------------------------------------------


def test_an_index_arrives_as_it_was(
    folder: Path, exported: Path, tmp_path: Path, shelf: Shelf
) -> None:
    before = shelf.passages_encoded
    _import(exported, tmp_path / "there" / ".ragcli")
    arrived = tmp_path / "there" / ".ragcli"
    assert shelf.passages_encoded == before
    assert shelf.held(arrived) == shelf.held(folder)
    assert _hits(arrived) == _hits(folder)
    with Index.open(folder) as one, Index.open(arrived) as other:
        assert one.preferences() == other.preferences() == {"colour": "green"}
        assert (one.lineage, one.generation) == (other.lineage, other.generation)
        assert one.fingerprint == other.fingerprint
    assert [one for one in check_folder(arrived) if one.state == DAMAGED] == []
    assert set(_content(arrived)) == {CATALOGUE, "vectors.faiss"}


def test_the_same_index_makes_the_same_file(folder: Path, exported: Path, tmp_path: Path) -> None:
    export_catalogue(folder, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == exported.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["again"]


def test_an_export_is_the_last_commit_while_a_run_is_at_work(
    tmp_path: Path, exported: Path, shelf: Shelf
) -> None:
    folder, file = tmp_path / "index", tmp_path / "file"
    _import(exported, folder)
    with Index.create_or_open(folder, shelf.fingerprint) as index:
        shelf.put(index, "one.txt", ["One."])
        index.commit()
        shelf.put(index, "two.txt", ["Two."])
        export_catalogue(folder, file)
    _import(file, tmp_path / "there")
    held = shelf.held(tmp_path / "there")
    assert "one.txt" in held
    assert "two.txt" not in held


def test_an_index_that_is_there_is_replaced_only_on_demand(
    folder: Path, exported: Path, target: Path, shelf: Shelf
) -> None:
    before = _content(target)
    with pytest.raises(IndexMismatchError, match="there is an index in") as caught:
        _import(exported, target)
    assert "--replace" in caught.value.remedy
    assert _content(target) == before
    with Index.open(target) as reader:
        _import(exported, target, replace=True)
        assert [source.path for source in reader.sources()] == ["other.txt"]
    assert shelf.held(target) == shelf.held(folder)
    assert _hits(target) == _hits(folder)


def test_an_index_that_went_apart_from_its_copy_is_not_searched_with_its_vectors(
    folder: Path, exported: Path, tmp_path: Path, shelf: Shelf
) -> None:
    """Both then count the same commits of the same lineage, and give out the same ids."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for copy, words in ((ours, "Ours is here."), (theirs, "Theirs is there.")):
        _import(exported, copy)
        with Index.create_or_open(copy, shelf.fingerprint) as index:
            shelf.put(index, "new.txt", [words])
            index.commit()
    export_catalogue(theirs, tmp_path / "file")
    _import(tmp_path / "file", ours, replace=True)
    assert _hits(ours) == _hits(theirs)
    shelf.assert_searchable(ours)
    with Index.open(ours) as one, Index.open(theirs) as other:
        assert one.lineage != other.lineage


def test_also_one_that_is_damaged_or_old_is_replaced_only_on_demand(
    exported: Path, tmp_path: Path
) -> None:
    old = (FIXTURES / "schema-4" / CATALOGUE).read_bytes()
    (tmp_path / "there").mkdir()
    for content in (old, old[:20000], b"\0" * 40000):
        (tmp_path / "there" / CATALOGUE).write_bytes(content)
        with pytest.raises(IndexMismatchError, match="there is an index") as caught:
            _import(exported, tmp_path / "there")
        assert "--replace" in caught.value.remedy
        assert (tmp_path / "there" / CATALOGUE).read_bytes() == content


def test_a_damaged_index_is_replaced(exported: Path, target: Path, shelf: Shelf) -> None:
    for damage in (b"\0" * 40000, b"", (target / CATALOGUE).read_bytes()[:20000]):
        (target / CATALOGUE).write_bytes(damage)
        _import(exported, target, replace=True)
        shelf.assert_searchable(target)
        assert [one for one in check_folder(target) if one.state == DAMAGED] == []


def test_what_an_older_version_exported_is_brought_up_to_date(tmp_path: Path) -> None:
    old = (FIXTURES / "schema-4" / CATALOGUE).read_bytes()
    _pack(tmp_path / "file", old, schema=4)
    _import(tmp_path / "file", tmp_path / "index")
    with Index.open(tmp_path / "index") as index:
        assert len(index.sources()) == 3
    assert [one for one in check_folder(tmp_path / "index") if one.state == DAMAGED] == []


def test_an_unfinished_rebuild_of_the_index_before_goes(
    exported: Path, target: Path, bench: Bench
) -> None:
    Index.create_or_open(target, bench.fingerprint, rebuild=True).close()
    _import(exported, target, replace=True)
    assert not list(target.glob("rebuild.sqlite*"))


# -- what cannot be exported -----------------------------------------------------------------


def test_where_there_is_no_index_none_is_exported(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        export_catalogue(tmp_path / "nothing", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no/such/folder/file", "a folder"])
def test_a_file_that_cannot_be_written_is_told(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "a folder" / "content").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot write"):
        export_catalogue(folder, tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["a folder"]


def test_a_damaged_index_is_not_exported(folder: Path, tmp_path: Path) -> None:
    content = (folder / CATALOGUE).read_bytes()
    (tmp_path / "index").mkdir()
    hole = 16384 * 9
    (tmp_path / "index" / CATALOGUE).write_bytes(
        content[:hole] + bytes(16384) + content[hole + 16384 :]
    )
    with pytest.raises(IndexMismatchError, match="is damaged") as caught:
        export_catalogue(tmp_path / "index", tmp_path / "file")
    assert "doctor --repair" in caught.value.remedy
    assert not (tmp_path / "file").exists()


# -- what is refused -------------------------------------------------------------------------


def _pack(file: Path, catalogue: bytes, **changes: object) -> None:
    """Write a file as export does, with ``changes`` to what it says of itself."""
    description = {
        "format": "ragcli index",
        "version": 1,
        "schema": len(MIGRATIONS),
        "bytes": len(catalogue),
        "sha256": hashlib.sha256(catalogue).hexdigest(),
        **changes,
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.json", json.dumps(description))
        archive.writestr(CATALOGUE, catalogue)


def _catalogue_of(exported: Path) -> bytes:
    with zipfile.ZipFile(exported) as archive:
        return archive.read(CATALOGUE)


def _assert_refused(file: Path, target: Path, match: str = "is damaged or was not") -> None:
    before = _content(target)
    with pytest.raises(RagcliError, match=match) as caught:
        _import(file, target, replace=True)
    assert type(caught.value) in (InputError, IndexMismatchError, RagcliError)
    assert _content(target) == before


def test_a_file_that_is_missing_or_none_is_told(tmp_path: Path, target: Path) -> None:
    _assert_refused(tmp_path / "nothing", target, "no file")
    _assert_refused(tmp_path, target, "cannot import")
    (tmp_path / "text").write_text("no archive")
    _assert_refused(tmp_path / "text", target)
    (tmp_path / "empty").touch()
    _assert_refused(tmp_path / "empty", target)
    with pytest.raises(InputError):
        check_export(tmp_path / "text")


def test_a_file_cut_short_anywhere_is_refused(exported: Path, tmp_path: Path, target: Path) -> None:
    content, file = exported.read_bytes(), tmp_path / "file"
    lengths = [*range(0, 200, 7), len(content) // 2, *range(len(content) - 200, len(content), 7)]
    for length in lengths:
        file.write_bytes(content[:length])
        _assert_refused(file, target)


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(
    exported: Path, tmp_path: Path, target: Path, folder: Path, shelf: Shelf
) -> None:
    """A ZIP archive has bits without meaning, such as those of its time stamps."""
    content, file = exported.read_bytes(), tmp_path / "file"
    draw = random.Random(3)
    heads = [*range(220), *range(len(content) - 180, len(content))]
    refused, places = 0, heads + draw.sample(range(220, len(content) - 180), 60)
    before = _content(target)
    for at in places:
        flipped = content[at] ^ 1 << draw.randrange(8)
        file.write_bytes(content[:at] + bytes([flipped]) + content[at + 1 :])
        copy = tmp_path / "copy"
        shutil.copytree(target, copy)
        try:
            _import(file, copy, replace=True)
        except RagcliError:
            refused += 1
            assert _content(copy) == before
        else:
            assert shelf.held(copy) == shelf.held(folder)
        shutil.rmtree(copy)
    assert refused > len(places) * 0.7


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 64},
        {"sha256": None},
        {"bytes": 1},
        {"bytes": 10**15},
        {"bytes": -1},
        {"bytes": "many"},
        {"format": "another"},
        {"version": None},
        {"schema": "five"},
        {"schema": None},
    ],
)
def test_a_file_that_says_something_wrong_of_itself_is_refused(
    exported: Path, tmp_path: Path, target: Path, changes: dict[str, object]
) -> None:
    _pack(tmp_path / "file", _catalogue_of(exported), **changes)
    _assert_refused(tmp_path / "file", target)


@pytest.mark.parametrize("changes", [{"schema": len(MIGRATIONS) + 1}, {"version": 2}])
def test_a_file_of_a_newer_version_is_told(
    exported: Path, tmp_path: Path, target: Path, changes: dict[str, object]
) -> None:
    _pack(tmp_path / "file", _catalogue_of(exported), **changes)
    _assert_refused(tmp_path / "file", target, "exported by a newer ragcli")


def _another_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE guest (value)")


def _a_trigger(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TRIGGER guest AFTER INSERT ON passages BEGIN DELETE FROM sources; END"
    )


def _a_view(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE preferences")
    connection.execute("CREATE VIEW preferences AS SELECT 'index_type' AS name, 'flat' AS value")


def _another_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE sources ADD COLUMN guest TEXT")


def _a_missing_index(connection: sqlite3.Connection) -> None:
    connection.execute("DROP INDEX passages_by_text")


def _no_manifest(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM manifest")


def _a_manifest_that_says_nothing(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE manifest SET fingerprint = '{}'")


def _the_number_of_an_older_schema(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA user_version = 3")


def _no_number(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA user_version = 0")


def _pages_of_another_size(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA page_size = 4096")
    connection.execute("VACUUM")


def _another_program(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA application_id = 1")


def _a_newer_schema(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_another_table, "is damaged or was not"),
        (_a_trigger, "is damaged or was not"),
        (_a_view, "is damaged or was not"),
        (_another_column, "is damaged or was not"),
        (_a_missing_index, "is damaged or was not"),
        (_no_manifest, "is damaged or was not"),
        (_a_manifest_that_says_nothing, "is damaged or was not"),
        (_the_number_of_an_older_schema, "is damaged or was not"),
        (_no_number, "lost its number"),
        (_pages_of_another_size, "is damaged or was not"),
        (_another_program, "another program"),
        (_a_newer_schema, "knows schemas up to"),
    ],
)
def test_a_database_that_is_no_catalogue_of_ours_is_refused(
    exported: Path,
    tmp_path: Path,
    target: Path,
    change: Callable[[sqlite3.Connection], None],
    match: str,
) -> None:
    """Its hash holds: whoever made it made that, too."""
    database = tmp_path / "changed.sqlite"
    database.write_bytes(_catalogue_of(exported))
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        change(connection)
    _pack(tmp_path / "file", database.read_bytes())
    _assert_refused(tmp_path / "file", target, match)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(999)])
def test_what_is_no_database_is_refused(tmp_path: Path, target: Path, content: bytes) -> None:
    _pack(tmp_path / "file", content)
    _assert_refused(tmp_path / "file", target)


def test_a_database_with_holes_is_refused(exported: Path, tmp_path: Path, target: Path) -> None:
    content = _catalogue_of(exported)
    _pack(tmp_path / "file", content[: 16384 * 9] + bytes(16384) + content[16384 * 10 :])
    _assert_refused(tmp_path / "file", target)


def test_an_archive_that_would_fill_the_disk_is_refused_early(tmp_path: Path, target: Path) -> None:
    """It packs a thousand to one, and says that little is in it."""
    _pack(tmp_path / "file", bytes(50_000_000), bytes=1000)
    assert (tmp_path / "file").stat().st_size < 60_000
    _assert_refused(tmp_path / "file", target)
    content = (tmp_path / "file").read_bytes()
    size = (50_000_000).to_bytes(4, "little")
    assert content.count(size) == 2  # before the member and in the directory at the end
    (tmp_path / "file").write_bytes(content.replace(size, (1000).to_bytes(4, "little")))
    _assert_refused(tmp_path / "file", target)


def test_members_that_are_packed_in_another_way_or_missing_are_refused(
    exported: Path, tmp_path: Path, target: Path
) -> None:
    catalogue = _catalogue_of(exported)
    with zipfile.ZipFile(tmp_path / "lzma", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("index.json", "{}")
        archive.writestr(CATALOGUE, catalogue)
    with zipfile.ZipFile(tmp_path / "lone", "w") as archive:
        archive.writestr(CATALOGUE, catalogue)
    with zipfile.ZipFile(tmp_path / "deep", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.json", "[" * 60_000)
        archive.writestr(CATALOGUE, catalogue)
    with zipfile.ZipFile(tmp_path / "list", "w") as archive:
        archive.writestr("index.json", "[]")
        archive.writestr(CATALOGUE, catalogue)
    for name in ("lzma", "lone", "deep", "list"):
        _assert_refused(tmp_path / name, target)
