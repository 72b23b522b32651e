"""The words of passages and documents: SQLite's inverted index (FTS5), changed with the catalogue.

Words are compared without case and accents and by their stems (Porter 1980). Ranking is BM25
(Robertson & Zaragoza 2009) as FTS5 computes it, with k1 = 1.2 and b = 0.75; a word in the title
or heading counts more often than one in the text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragcli.records import Scores

TITLE_WEIGHT = 2.0
HEADING_WEIGHT = 2.0
TOKENIZER = "porter unicode61 remove_diacritics 2"
_MOST_ROWS = 2**31

DOCUMENT_VALUES = """
SELECT document_key, CAST(title AS TEXT), CAST(text AS TEXT) FROM documents
"""
"""What ``document_words`` is made of."""

PASSAGE_VALUES = """
SELECT passage_id, CAST(title AS TEXT), CAST(heading AS TEXT), CAST(passages.text AS TEXT)
FROM passages JOIN documents USING (document_key)
"""
"""What ``words`` is made of."""

# The index keeps no text of its own: rows are added to it and taken from it by what the passages
# and their documents hold. A text that is no Unicode is kept as bytes, which FTS5 reads as text.
MIGRATION = f"""
CREATE VIRTUAL TABLE words USING fts5(
    title, heading, text,
    content = '', tokenize = '{TOKENIZER}'
);
INSERT INTO words (rowid, title, heading, text) {PASSAGE_VALUES};

-- What filters look at, so that they need not pass by the documents' texts.
CREATE INDEX documents_described ON documents (source_id, title, metadata);
"""

# The same for whole documents, whose headings stand in their texts.
DOCUMENTS_MIGRATION = f"""
CREATE VIRTUAL TABLE document_words USING fts5(
    title, text,
    content = '', tokenize = '{TOKENIZER}'
);
INSERT INTO document_words (rowid, title, text) {DOCUMENT_VALUES};
"""


def add_document_words(connection: sqlite3.Connection, document_key: int) -> None:
    """Let a document of the catalogue be scored by its words."""
    connection.execute(
        f"INSERT INTO document_words (rowid, title, text) {DOCUMENT_VALUES} WHERE document_key = ?",
        (document_key,),
    )


def add_words(connection: sqlite3.Connection, passage_id: int) -> None:
    """Make a passage of the catalogue findable by its words."""
    connection.execute(
        f"INSERT INTO words (rowid, title, heading, text) {PASSAGE_VALUES} WHERE passage_id = ?",
        (passage_id,),
    )


def remove_words(connection: sqlite3.Connection, document_key: int) -> None:
    """Forget the words of a document and its passages; goes before their removal."""
    connection.execute(
        "INSERT INTO words (words, rowid, title, heading, text)"
        f" SELECT 'delete', * FROM ({PASSAGE_VALUES} WHERE document_key = ?)",
        (document_key,),
    )
    connection.execute(
        "INSERT INTO document_words (document_words, rowid, title, text)"
        f" SELECT 'delete', * FROM ({DOCUMENT_VALUES} WHERE document_key = ?)",
        (document_key,),
    )


def index_words_anew(connection: sqlite3.Connection) -> None:
    """Index the words of everything that the catalogue holds, and nothing else."""
    connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    connection.execute(f"INSERT INTO words (rowid, title, heading, text) {PASSAGE_VALUES}")
    connection.execute("INSERT INTO document_words (document_words) VALUES ('delete-all')")
    connection.execute(f"INSERT INTO document_words (rowid, title, text) {DOCUMENT_VALUES}")


def optimize_words(connection: sqlite3.Connection) -> None:
    """Join the pieces that changes left of the inverted indexes."""
    connection.execute("INSERT INTO words (words) VALUES ('optimize')")
    connection.execute("INSERT INTO document_words (document_words) VALUES ('optimize')")


def search_words(
    connection: sqlite3.Connection, expression: str, k: int, among: frozenset[int] | None = None
) -> Scores:
    """Ids and BM25 scores of the ``k`` best passages ``among`` these, for an FTS5 ``expression``.

    Best first, equal scores in the order of the ids; every score is above 0.
    """
    rows = connection.execute(
        "SELECT rowid, -bm25(words, ?, ?, 1.0) AS score FROM words"
        f" WHERE words MATCH ?{_restrict(connection, among)} ORDER BY score DESC, rowid LIMIT ?",
        (TITLE_WEIGHT, HEADING_WEIGHT, expression, min(k, _MOST_ROWS)),
    )
    return [(int(passage_id), float(score)) for passage_id, score in rows]


def score_documents(
    connection: sqlite3.Connection, expression: str, document_keys: frozenset[int]
) -> dict[int, float]:
    """BM25 of these documents for an FTS5 ``expression``, of those that it matches."""
    return dict(
        connection.execute(
            "SELECT rowid, -bm25(document_words, ?, 1.0) FROM document_words"
            f" WHERE document_words MATCH ?{_restrict(connection, document_keys)}",
            (TITLE_WEIGHT, expression),
        ).fetchall()
    )


def _restrict(connection: sqlite3.Connection, among: frozenset[int] | None) -> str:
    if among is None:
        return ""
    # A function, because FTS5 makes of "rowid IN (...)" one search for each id.
    connection.create_function("is_among", 1, among.__contains__)
    return " AND is_among(rowid)"


def stem_counts(texts: Sequence[str]) -> Sequence[Mapping[str, int]]:
    """Of each text how often each stem stands in it, as the index would count it."""
    scratch = _scratch()
    counts: list[dict[str, int]] = [{} for _ in texts]
    scratch.execute("DELETE FROM texts")
    scratch.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", enumerate(texts))
    for stem, text, count in scratch.execute("SELECT term, doc, count(*) FROM stems GROUP BY 1, 2"):
        counts[text][stem] = count
    return counts


def document_frequencies(connection: sqlite3.Connection, stems: Sequence[str]) -> Mapping[str, int]:
    """In how many passages each of these stems stands; stems that stand in none are left out."""
    known = connection.execute("SELECT 1 FROM temp.sqlite_schema WHERE name = 'vocabulary'")
    if known.fetchone() is None:
        # It keeps nothing of its own, but a connection for reading would refuse it.
        (read_only,) = connection.execute("PRAGMA query_only").fetchone()
        connection.execute("PRAGMA query_only = OFF")
        connection.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, words, row)")
        connection.execute(f"PRAGMA query_only = {read_only}")
    frequencies: dict[str, int] = {}
    for stem in stems:
        row = connection.execute("SELECT doc FROM vocabulary WHERE term = ?", (stem,)).fetchone()
        if row is not None:
            frequencies[stem] = int(row[0])
    return frequencies


@cache
def _scratch() -> sqlite3.Connection:
    """A database in memory whose inverted index tells how SQLite stems."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(
        f"CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = '{TOKENIZER}');"
        "CREATE VIRTUAL TABLE stems USING fts5vocab(texts, instance);"
    )
    return connection
