"""Damage of every kind, and what is left of an index when it is mended."""

from __future__ import annotations

import errno
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.errors import IndexMismatchError, RagcliError
from ragcli.store import (
    DAMAGED,
    NOTE,
    SOUND,
    Finding,
    Index,
    Mended,
    check_folder,
    check_surroundings,
    discard_vectors,
    embed_bare,
    locked,
    mend_catalogue,
)

if TYPE_CHECKING:
    from conftest import Shelf

PAGE = 16384
FIXTURES = Path(__file__).with_name("fixtures")
CATALOGUE = "catalogue.sqlite"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shelf: Shelf) -> Path:
    """An index folder that is copied and never touched."""
    folder = tmp_path_factory.mktemp("whole") / "index"
    shelf.fill(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "index"))


def _findings(folder: Path, *states: str) -> list[Finding]:
    return [one for one in check_folder(folder) if one.state in states]


def _repair(folder: Path, shelf: Shelf) -> Mended:
    with locked(folder):
        mended = mend_catalogue(folder)
        embed_bare(folder, mended.bare, shelf.split, shelf.encode)
        if any(one.check == "vectors.faiss" for one in _findings(folder, DAMAGED)):
            discard_vectors(folder)
    Index.create_or_open(folder, shelf.fingerprint).close()
    return mended


def _spoil(folder: Path, *statements: str) -> None:
    """Damage the catalogue by SQL, as no ragcli would."""
    with closing(sqlite3.connect(folder / CATALOGUE, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def _assert_nothing_is_lost_in_silence(folder: Path, shelf: Shelf) -> None:
    """What is said to be all there is all there; what is not can be searched as far as it goes."""
    assert _findings(folder, DAMAGED) == []
    expected = shelf.texts()
    for path, (is_certain, texts) in shelf.held(folder).items():
        if is_certain:
            assert texts == expected[path], path
    shelf.assert_searchable(folder)


def _can_be_mended(folder: Path, shelf: Shelf) -> bool:
    """Repair the index; whether that was possible."""
    try:
        _repair(folder, shelf)
    except IndexMismatchError as error:
        return "beyond repair" not in error.message
    return True


# -- what is sound ---------------------------------------------------------------------------


def test_a_sound_index_is_left_as_it_is(folder: Path, shelf: Shelf) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert [one.state for one in check_folder(folder)] == [SOUND] * 5
    with locked(folder):
        assert mend_catalogue(folder) == Mended((), ())
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


# -- bytes that are not what they were -------------------------------------------------------

Spoiling = Callable[[bytes, int, random.Random], bytes]


def _zeros(whole: bytes, page: int, _: random.Random) -> bytes:
    return whole[: page * PAGE] + bytes(PAGE) + whole[(page + 1) * PAGE :]


def _noise(whole: bytes, page: int, draw: random.Random) -> bytes:
    return whole[: page * PAGE] + draw.randbytes(PAGE) + whole[(page + 1) * PAGE :]


def _another_page(whole: bytes, page: int, draw: random.Random) -> bytes:
    other = draw.randrange(1, len(whole) // PAGE) * PAGE
    return whole[: page * PAGE] + whole[other : other + PAGE] + whole[(page + 1) * PAGE :]


def _some_bytes(whole: bytes, page: int, draw: random.Random) -> bytes:
    at = page * PAGE + draw.randrange(PAGE - 64)
    return whole[:at] + draw.randbytes(64) + whole[at + 64 :]


def _one_bit(whole: bytes, page: int, draw: random.Random) -> bytes:
    at = page * PAGE + draw.randrange(PAGE)
    return whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :]


@pytest.mark.parametrize("spoiling", [_zeros, _noise, _another_page, _some_bytes, _one_bit])
def test_whatever_page_is_damaged_what_is_left_is_sound_and_what_is_lost_is_named(
    whole: Path, tmp_path: Path, shelf: Shelf, spoiling: Spoiling
) -> None:
    content = (whole / CATALOGUE).read_bytes()
    draw = random.Random(7)
    expected = shelf.texts().keys()
    beyond_repair = 0
    for page in range(1, len(content) // PAGE, 1 if spoiling is _zeros else 2):
        folder = Path(shutil.copytree(whole, tmp_path / str(page)))
        damaged = spoiling(content, page, draw)
        (folder / CATALOGUE).write_bytes(damaged)
        if not _can_be_mended(folder, shelf):
            assert (folder / CATALOGUE).read_bytes() == damaged
            beyond_repair += 1
            continue
        _assert_nothing_is_lost_in_silence(folder, shelf)
        assert shelf.held(folder).keys() == expected, page
        shutil.rmtree(folder)
    assert beyond_repair <= 1  # the page that says what made the index


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8, 0.9, 0.97, 0.999])
def test_a_catalogue_cut_short_is_salvaged_as_far_as_it_goes(
    folder: Path, shelf: Shelf, share: float
) -> None:
    content = (folder / CATALOGUE).read_bytes()
    cut = content[: int(len(content) * share)]
    (folder / CATALOGUE).write_bytes(cut)
    assert _findings(folder, DAMAGED)[0].remedy == 'run "ragcli doctor --repair"'
    if not _can_be_mended(folder, shelf):
        assert (folder / CATALOGUE).read_bytes() == cut
        assert share < 0.8
        return
    _assert_nothing_is_lost_in_silence(folder, shelf)
    assert (folder / "damaged-1.sqlite").read_bytes() == cut


@pytest.mark.parametrize("header", [b"\0" * PAGE, b"SQLite format 3\0" + b"\xff" * 84, b""])
def test_a_catalogue_without_its_header_is_beyond_repair_and_nothing_is_removed(
    folder: Path, header: bytes
) -> None:
    content = (folder / CATALOGUE).read_bytes()
    (folder / CATALOGUE).write_bytes(header + content[max(len(header), 100) :])
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    [finding] = check_folder(folder)
    assert finding.state == DAMAGED
    assert finding.detail.startswith("cannot be read: ")
    with locked(folder), pytest.raises(IndexMismatchError, match="damaged"):
        mend_catalogue(folder)
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert after == {**before, "write.lock": b""}


@pytest.mark.parametrize(
    ("header", "message"),
    [("user_version = 0", "has lost its number"), ("application_id = 7", "another program")],
)
def test_a_damaged_number_in_the_header_is_told(folder: Path, header: str, message: str) -> None:
    _spoil(folder, f"PRAGMA {header}")
    with pytest.raises(IndexMismatchError, match=message):
        list(check_folder(folder))
    with locked(folder), pytest.raises(IndexMismatchError, match=message):
        mend_catalogue(folder)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM manifest",
        "UPDATE manifest SET fingerprint = '{\"dimension\": 4}'",
        "UPDATE manifest SET fingerprint = 'oops'",
        "UPDATE manifest SET fingerprint = replace(fingerprint, ': 4,', ': null,')",
        "UPDATE manifest SET lineage = 'oops'",
        "UPDATE manifest SET created_at = 'yesterday'",
    ],
)
def test_an_index_that_does_not_say_what_made_it_is_beyond_repair(
    folder: Path, statement: str
) -> None:
    _spoil(folder, statement)
    assert "does not say what made the index" in _findings(folder, DAMAGED)[-1].detail
    with locked(folder), pytest.raises(IndexMismatchError, match="does not say what made it"):
        mend_catalogue(folder)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_log_that_was_cut_off_is_not_damage(folder: Path, shelf: Shelf, share: float) -> None:
    with Index.create_or_open(folder, shelf.fingerprint) as index:
        shelf.put(index, "late.txt", ["Late."])
        index.commit()
        files = {name: (folder / name).read_bytes() for name in (CATALOGUE, f"{CATALOGUE}-wal")}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    log = folder / f"{CATALOGUE}-wal"
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * share)])
    assert _findings(folder, DAMAGED) == []
    assert ("late.txt" in shelf.held(folder)) == (share == 1)


# -- rows that are not what they were --------------------------------------------------------

OF_BOOK = "(SELECT document_key FROM documents WHERE document_id = 'book.txt')"
IN_BOOK = f"passage_id = (SELECT min(passage_id) + 5 FROM passages WHERE document_key = {OF_BOOK})"


@pytest.mark.parametrize(
    ("statement", "passages_encoded"),
    [
        (f"UPDATE vectors SET vector = zeroblob(16) WHERE {IN_BOOK}", 1),
        (f"UPDATE vectors SET vector = zeroblob(15) WHERE {IN_BOOK}", 1),
        (f"UPDATE vectors SET vector = x'0000C07F' || zeroblob(12) WHERE {IN_BOOK}", 1),
        (f"UPDATE vectors SET vector = 'words' WHERE {IN_BOOK}", 1),
        (f"UPDATE vectors SET vector = x'0000803F' || zeroblob(12) WHERE {IN_BOOK}", 1),
        (f"DELETE FROM vectors WHERE {IN_BOOK}", 1),
        (f"DELETE FROM passages WHERE {IN_BOOK}", 1),
        (f"UPDATE passages SET text = 'other' || substr(text, 6) WHERE {IN_BOOK}", 1),
        (f"UPDATE passages SET text = CAST(x'FF' AS TEXT) || substr(text, 2) WHERE {IN_BOOK}", 1),
        (f"UPDATE passages SET text = x'FF' WHERE {IN_BOOK}", 1),
        (f"UPDATE passages SET text = 7 WHERE {IN_BOOK}", 1),
        (f"UPDATE passages SET heading = 'Another' WHERE {IN_BOOK}", 1),
        (f"UPDATE passages SET text_hash = x'00' WHERE {IN_BOOK}", 1),
        (f"UPDATE passages SET text_hash = 'words' WHERE {IN_BOOK}", 1),
        (f'UPDATE passages SET start = start + 1, "end" = "end" + 1 WHERE {IN_BOOK}', 0),
        (f"UPDATE passages SET start = -1 WHERE {IN_BOOK}", 1),
        (f"UPDATE passages SET line = 'first' WHERE {IN_BOOK}", 1),
        (f"DELETE FROM passages WHERE document_key = {OF_BOOK}", 600),
        (f"UPDATE documents SET title = 'Another' WHERE document_key = {OF_BOOK}", 600),
    ],
)
def test_a_damaged_passage_is_made_anew_from_its_document(
    folder: Path, shelf: Shelf, statement: str, passages_encoded: int
) -> None:
    _spoil(folder, statement)
    assert next((one.check, one.paths) for one in _findings(folder, DAMAGED)) in [
        ("documents", ("book.txt",)),
        ("catalogue", ()),  # a vector without its passage
        ("vectors.faiss", ()),  # a vector of length 1, but another one
    ]
    before = shelf.passages_encoded
    mended = _repair(folder, shelf)
    assert len(mended.bare) == 1
    assert shelf.passages_encoded - before == passages_encoded
    _assert_nothing_is_lost_in_silence(folder, shelf)
    held = shelf.held(folder)
    assert held.pop("book.txt") == (False, shelf.texts()["book.txt"])
    assert all(is_certain for is_certain, _ in held.values())
    [note] = _findings(folder, NOTE)
    assert (note.check, note.paths) == ("files", ("book.txt",))


@pytest.mark.parametrize(
    "text",
    [
        "'other' || substr(text, 6)",
        "CAST(x'FF' || substr(CAST(text AS BLOB), 2) AS TEXT)",
        "CAST(x'FF' || substr(CAST(text AS BLOB), 2) AS BLOB)",
        "CAST(substr(CAST(text AS BLOB), 1, 9000) || zeroblob(length(CAST(text AS BLOB)) - 9000)"
        " AS TEXT)",
        "''",
        "7",
    ],
)
def test_a_damaged_text_comes_back_from_its_passages(folder: Path, shelf: Shelf, text: str) -> None:
    _spoil(folder, f"UPDATE documents SET text = {text} WHERE document_key = {OF_BOOK}")
    before = shelf.passages_encoded
    assert _repair(folder, shelf).bare == ()
    assert shelf.passages_encoded == before
    assert shelf.held(folder)["book.txt"] == (False, shelf.texts()["book.txt"])
    _assert_nothing_is_lost_in_silence(folder, shelf)


def test_passages_that_lack_the_last_one_do_not_shorten_their_document(
    folder: Path, shelf: Shelf
) -> None:
    last = f"(SELECT max(passage_id) FROM passages WHERE document_key = {OF_BOOK})"
    _spoil(folder, f"DELETE FROM passages WHERE passage_id >= {last} - 1")
    _repair(folder, shelf)
    assert shelf.held(folder)["book.txt"] == (False, shelf.texts()["book.txt"])


@pytest.mark.parametrize(
    "value",
    [
        "headings = '[{'",
        "headings = '[1]'",
        'headings = \'[{"start": 999999999, "level": 1, "text": ""}]\'',
        "page_starts = '[\"a\"]'",
        "page_starts = 7",
        "metadata = '[]'",
        "metadata = x'00'",
        "first_line = 'one'",
        "is_record = 5",
    ],
)
def test_what_a_document_says_of_itself_is_left_out_where_it_cannot_be_meant(
    folder: Path, shelf: Shelf, value: str
) -> None:
    _spoil(folder, f"UPDATE documents SET {value} WHERE document_key = {OF_BOOK}")
    assert _findings(folder, DAMAGED)[0].paths == ("book.txt",)
    _repair(folder, shelf)
    _assert_nothing_is_lost_in_silence(folder, shelf)
    assert shelf.held(folder)["book.txt"] == (False, shelf.texts()["book.txt"])


@pytest.mark.parametrize(
    ("statements", "done"),
    [
        (["DELETE FROM sources WHERE path = 'book.txt'"], "removed 1 row "),
        (["DELETE FROM documents WHERE document_id = 'book.txt'"], "removed 600 rows"),
        ([f"DELETE FROM passages WHERE {IN_BOOK}"], "removed 1 row "),
        (["INSERT INTO kept_vectors VALUES (x'01', x'00')"], "dropped 1 damaged vector "),
        (["UPDATE sources SET size = 'large' WHERE path = 'book.txt'"], "marked 1 file "),
        (["UPDATE sources SET path = x'FF' WHERE path = 'book.txt'"], "marked 1 file "),
    ],
)
def test_what_belongs_to_nothing_goes(
    folder: Path, shelf: Shelf, statements: list[str], done: str
) -> None:
    _spoil(folder, *statements)
    assert _findings(folder, DAMAGED)
    assert done in _repair(folder, shelf).done[0]
    _assert_nothing_is_lost_in_silence(folder, shelf)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM words_docsize WHERE id % 7 = 0",
        "UPDATE words_docsize SET sz = x'010203' WHERE id = 3",
        "INSERT INTO words_docsize VALUES (99999, x'010203')",
        "DELETE FROM words_data WHERE id > 10",
        "UPDATE words_data SET block = zeroblob(length(block)) WHERE id > 10",
        "UPDATE words_data SET block = substr(block, 1, 99) || x'41' || substr(block, 101)"
        " WHERE id > 10",
        "UPDATE words_data SET block = x'' WHERE id = 1",
        "INSERT INTO words (rowid, title, heading, text) VALUES (99999, '', '', 'zebra')",
        "DELETE FROM document_words_data WHERE id = 10",
        "INSERT INTO document_words (document_words) VALUES ('delete-all')",
        "DELETE FROM words_config",  # SQLite can then neither open nor drop the table
        "DROP TABLE words_idx",
    ],
)
def test_damaged_words_are_indexed_anew(folder: Path, shelf: Shelf, statement: str) -> None:
    _spoil(folder, statement)
    assert [one.check for one in _findings(folder, DAMAGED)] == ["words"]
    _repair(folder, shelf)
    assert _findings(folder, DAMAGED, NOTE) == []
    assert shelf.held(folder) == {path: (True, texts) for path, texts in shelf.texts().items()}
    shelf.assert_searchable(folder)


# -- a repair that does not end --------------------------------------------------------------


def test_a_document_that_waits_to_be_embedded_is_taken_for_no_other(
    folder: Path, shelf: Shelf
) -> None:
    """A run in between must not find it in place: it would never get its passages back."""
    with Index.open(folder) as index:
        [document] = index.documents("book.txt")
        source = index.source("book.txt")
    assert source is not None
    _spoil(folder, f"DELETE FROM vectors WHERE {IN_BOOK}")
    with locked(folder):
        mended = mend_catalogue(folder)
        assert mend_catalogue(folder) == Mended((), mended.bare)
    assert _findings(folder, DAMAGED)[0].paths == ("book.txt",)
    with Index.create_or_open(folder, shelf.fingerprint) as index:
        assert not index.keep_document(index.begin_source(source), document)
    _repair(folder, shelf)
    with Index.create_or_open(folder, shelf.fingerprint) as index:
        assert index.keep_document(index.begin_source(source), document)


def test_what_was_embedded_before_a_kill_is_not_embedded_again(folder: Path, shelf: Shelf) -> None:
    _spoil(folder, f"DELETE FROM passages WHERE document_key = {OF_BOOK}")

    class KilledError(Exception):
        pass

    calls = 0

    def encode_once(pairs: list[object]) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KilledError
        return shelf.encode(pairs)  # type: ignore[arg-type]

    with locked(folder):
        mended = mend_catalogue(folder)
        with pytest.raises(KilledError):
            embed_bare(folder, mended.bare, shelf.split, encode_once)  # type: ignore[arg-type]
    before = shelf.passages_encoded
    _repair(folder, shelf)
    assert shelf.passages_encoded - before == 600 - 2 * 256
    _assert_nothing_is_lost_in_silence(folder, shelf)


# -- what surrounds it -----------------------------------------------------------------------


def test_a_salvaged_index_keeps_its_choices_and_every_damaged_catalogue(
    folder: Path, shelf: Shelf
) -> None:
    for number in (1, 2):
        _spoil(folder, "DELETE FROM words_config")
        damaged = (folder / CATALOGUE).read_bytes()
        _repair(folder, shelf)
        assert (folder / f"damaged-{number}.sqlite").read_bytes() == damaged
    with Index.open(folder) as index:
        assert index.preferences() == {"colour": "green"}
    told = [one.detail for one in check_surroundings(folder) if one.check == "leftovers"]
    assert told[0].startswith("a repair kept the catalogue as it was: damaged-1.sqlite, damaged-2")
    assert not (folder / "salvaged.sqlite").exists()


def test_a_full_disk_ends_a_repair_and_changes_nothing(
    folder: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written_in_part(_: Path, target: Path) -> None:
        target.write_bytes(b"part")
        raise OSError(errno.ENOSPC, "No space left on device")

    _spoil(folder, "DELETE FROM words_config")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", written_in_part)
        with locked(folder), pytest.raises(RagcliError, match="No space left"):
            mend_catalogue(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    _repair(folder, shelf)
    _assert_nothing_is_lost_in_silence(folder, shelf)


def test_a_reader_goes_on_while_a_ruin_is_replaced(folder: Path, shelf: Shelf) -> None:
    _spoil(folder, "DELETE FROM words_config")
    with Index.open(folder) as reader:
        with locked(folder):
            mend_catalogue(folder)
        assert [document.text for document in reader.documents("book.txt")] == (
            shelf.texts()["book.txt"]
        )
    _repair(folder, shelf)
    _assert_nothing_is_lost_in_silence(folder, shelf)


def test_an_old_index_in_ruins_is_mended_or_told(tmp_path: Path, shelf: Shelf) -> None:
    content = (FIXTURES / "schema-4" / CATALOGUE).read_bytes()
    mended = 0
    for page in range(1, len(content) // PAGE):
        folder = tmp_path / str(page)
        folder.mkdir()
        (folder / CATALOGUE).write_bytes(_zeros(content, page, random.Random(1)))
        try:
            with locked(folder):
                found = mend_catalogue(folder)
        except RagcliError:
            continue
        mended += 1
        if not found.bare:
            assert _findings(folder, DAMAGED) == []
    assert mended > len(content) // PAGE // 2
