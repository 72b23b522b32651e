"""The catalogue's tables, as numbered migrations to which later versions only append."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragcli.errors import IndexMismatchError
from ragcli.store import words
from ragcli.store.rows import stored_text_hash

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

APPLICATION_ID = 0x72616763  # "ragc" in the file's header tells the catalogue from other databases

# Passage ids are AUTOINCREMENT: an id is never given to another passage, so the vectors file can
# be brought in step by comparing ids alone. Vectors have a table of their own so that reading
# texts does not read them. A passage keeps its text beside its document's, so that one hit in a
# book does not read the book.
_FIRST = f"""
PRAGMA application_id = {APPLICATION_ID};

CREATE TABLE manifest (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    fingerprint TEXT NOT NULL,
    lineage TEXT NOT NULL,
    generation INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE sources (
    source_id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    content_hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    settings TEXT NOT NULL
);

CREATE TABLE documents (
    document_key INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES sources ON DELETE CASCADE,
    document_id TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    first_line INTEGER,
    is_record INTEGER NOT NULL,
    headings TEXT NOT NULL,
    page_starts TEXT NOT NULL,
    metadata TEXT NOT NULL,
    UNIQUE (source_id, document_id)
);

CREATE TABLE passages (
    passage_id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_key INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    text TEXT NOT NULL,
    heading TEXT NOT NULL,
    line INTEGER,
    page INTEGER
);
CREATE INDEX passages_of_document ON passages (document_key);

CREATE TABLE vectors (
    passage_id INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
    vector BLOB NOT NULL
);
"""

# What a person chose for this index, and what was measured of it; a rebuild keeps it.
_PREFERENCES = """
CREATE TABLE preferences (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""

# What a vector was made of, so that a passage whose words stand in the index already, in an
# earlier version of its document or under another name, takes the vector that is there. Vectors
# of a document that is not in place yet are kept apart: a kill loses none that was committed.
_TEXT_HASHES = """
ALTER TABLE passages ADD COLUMN text_hash BLOB NOT NULL DEFAULT x'';
UPDATE passages SET text_hash = text_hash(
    (SELECT title FROM documents WHERE documents.document_key = passages.document_key),
    heading, text
);
CREATE INDEX passages_by_text ON passages (text_hash);

CREATE TABLE kept_vectors (
    text_hash BLOB PRIMARY KEY,
    vector BLOB NOT NULL
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (
    _FIRST,
    words.MIGRATION,
    _PREFERENCES,
    words.DOCUMENTS_MIGRATION,
    _TEXT_HASHES,
)


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the catalogue has seen; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_schema(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> int:
    """The catalogue's schema version, when this version of ragcli can read it.

    Raises ``IndexMismatchError`` for a catalogue from a newer version or with a damaged header, and
    for a database that is no catalogue.
    """
    version = schema_version(connection)
    known = len(migrations)
    if version > known:
        raise IndexMismatchError(
            f"the index has schema {version}, this ragcli knows schemas up to {known}",
            "use the ragcli version that wrote the index, or a newer one",
        )
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise IndexMismatchError(
            "the catalogue is the database of another program", "choose another index folder"
        )
    if tables and version < 1:
        raise IndexMismatchError(
            "the catalogue is damaged: its schema has lost its number",
            'move the index folder away and run "ragcli index PATH" anew',
        )
    return version


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring the catalogue to the newest schema; each migration is one transaction.

    Raises ``IndexMismatchError`` as ``check_schema`` does.
    """
    version = check_schema(connection, migrations)
    connection.create_function("text_hash", 3, stored_text_hash, deterministic=True)
    for number, script in enumerate(migrations[version:], start=version + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise
