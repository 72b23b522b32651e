"""Whether the inverted indexes hold the words of what the catalogue holds, and no others.

They keep no text, so the words are taken from the texts anew, some thousand rows at a time, and
both are summed up alike.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import zip_longest

from ragcli.store.words import DOCUMENT_VALUES, PASSAGE_VALUES, TOKENIZER

_BATCH_ROWS = 4096
_PRIME = 2**31 - 1
_AVERAGES = 1  # the row of FTS5's data that counts all rows and words


@dataclass(frozen=True, slots=True)
class _Inverted:
    """An inverted index, and the table that it is of; ``values`` are what it is made of."""

    name: str
    columns: str
    table: str
    key: str
    values: str


_INDEXES = (
    _Inverted("words", "title, heading, text", "passages", "passage_id", PASSAGE_VALUES),
    _Inverted("document_words", "title, text", "documents", "document_key", DOCUMENT_VALUES),
)


@dataclass(slots=True)
class _Sums:
    """Of all words in all their places: equal where two indexes hold the same."""

    words: int = 0
    places: int = 0
    totals: list[int] = field(default_factory=list)

    def add(self, other: _Sums) -> None:
        self.words += other.words
        self.places += other.places
        pairs = zip_longest(self.totals, other.totals, fillvalue=0)
        self.totals = [one + two for one, two in pairs]

    def agree_with(self, other: _Sums) -> bool:
        """Whether both are of the same words; where there are none, totals are missing or 0."""
        pairs = zip_longest(self.totals, other.totals, fillvalue=0)
        are_equal = (self.words, self.places) == (other.words, other.places)
        return are_equal and all(one == two for one, two in pairs)


def words_flaw(connection: sqlite3.Connection) -> str:
    """What is wrong with the inverted indexes, in words; empty when all is well.

    The connection may be one for reading: what is written here lies beside the catalogue, and is
    gone at the end.
    """
    with _writing_aside(connection):
        for inverted in _INDEXES:
            try:
                if not _is_sound(connection, inverted):
                    return f"the words of the {inverted.table} are not indexed as they stand there"
            except sqlite3.DatabaseError as error:
                return f"the index of the words of the {inverted.table} cannot be read: {error}"
    return ""


@contextmanager
def _writing_aside(connection: sqlite3.Connection) -> Iterator[None]:
    (read_only,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = OFF")
    try:
        yield
    finally:
        # The vocabularies first: they look into the others.
        for kind in ("fts5vocab(", "fts5("):
            for (name,) in connection.execute(
                "SELECT name FROM temp.sqlite_schema WHERE instr(sql, ?)", (f" USING {kind}",)
            ).fetchall():
                with suppress(sqlite3.DatabaseError):
                    connection.execute(f"DROP TABLE temp.{name}")
        connection.execute(f"PRAGMA query_only = {read_only}")


def _is_sound(connection: sqlite3.Connection, inverted: _Inverted) -> bool:
    held = _summed(connection, "main", inverted.name)
    scratch = f"anew_{inverted.name}"
    connection.execute(
        f"CREATE VIRTUAL TABLE temp.{scratch} USING fts5("
        f"{inverted.columns}, content = '', tokenize = '{TOKENIZER}')"
    )
    wanted, n_rows = _Sums(), 0
    for first, last in _batches(connection, inverted):
        connection.execute(f"INSERT INTO temp.{scratch} ({scratch}) VALUES ('delete-all')")
        connection.execute(
            f"INSERT INTO temp.{scratch} (rowid, {inverted.columns}) {inverted.values}"
            f" WHERE {inverted.key} BETWEEN ? AND ?",
            (first, last),
        )
        wanted.add(_summed(connection, "temp", scratch))
        rows, differing = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE held.sz IS NOT anew.sz)"
            f" FROM temp.{scratch}_docsize AS anew"
            f" LEFT JOIN main.{inverted.name}_docsize AS held USING (id)"
        ).fetchone()
        n_rows += rows
        if differing:
            return False
    (lengths,) = connection.execute(f"SELECT count(*) FROM {inverted.name}_docsize").fetchone()
    return lengths == n_rows and held.agree_with(wanted)


def _batches(connection: sqlite3.Connection, inverted: _Inverted) -> Iterator[tuple[int, int]]:
    """The first and the last key of some thousand rows at a time."""
    last = -1
    while True:
        first, last = connection.execute(
            f"SELECT min({inverted.key}), max({inverted.key}) FROM"
            f" (SELECT {inverted.key} FROM {inverted.table} NOT INDEXED WHERE {inverted.key} > ?"
            f" ORDER BY {inverted.key} LIMIT {_BATCH_ROWS})",
            (last,),
        ).fetchone()
        if first is None:
            return
        yield first, last


def _summed(connection: sqlite3.Connection, schema: str, name: str) -> _Sums:
    """What an inverted index holds: its words, their places, and what it counts itself."""
    for kind in ("row", "instance"):
        connection.execute(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{kind}_of_{name}"
            f" USING fts5vocab({schema}, {name}, {kind})"
        )
    rows = connection.execute(f"SELECT CAST(term AS BLOB), doc, cnt FROM temp.row_of_{name}")
    words = sum(zlib.crc32(term) * (doc + 31 * count) for term, doc, count in rows)
    (places,) = connection.execute(
        "SELECT sum((doc * 1000003 + offset * 8191 + unicode(col) * 127 + length(term))"
        f" % {_PRIME} * (1 + unicode(term) % 8191) % {_PRIME}) FROM temp.instance_of_{name}"
    ).fetchone()
    row = connection.execute(
        f"SELECT block FROM {schema}.{name}_data WHERE id = {_AVERAGES}"
    ).fetchone()
    return _Sums(words, places or 0, [] if row is None else _numbers(row[0]))


def _numbers(block: bytes) -> list[int]:
    """Numbers as SQLite writes them, seven bits to a byte, most significant first."""
    numbers, number = [], 0
    for byte in block:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    return numbers
