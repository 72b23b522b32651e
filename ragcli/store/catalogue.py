"""The SQLite catalogue: sources, documents, passages and their vectors."""

from __future__ import annotations

import json
import sqlite3
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ragcli.errors import IndexMismatchError, IndexMissingError, IndexOutdatedError
from ragcli.records import (
    Document,
    DocumentDescription,
    Passage,
    Scores,
    StoredPassage,
)
from ragcli.store.connection import connect_for_reading, connect_for_writing, explained
from ragcli.store.contents import Contents
from ragcli.store.manifest import INCOMPLETE, IndexFingerprint, SourceState
from ragcli.store.rows import (
    DOCUMENT_COLUMNS,
    DOCUMENT_VALUE_COLUMNS,
    SOURCE_COLUMNS,
    document_from,
    document_values,
    from_sql,
    passage_from,
    source_from,
    state_values,
    text_hash,
    to_sql,
)
from ragcli.store.schema import MIGRATIONS, check_schema
from ragcli.store.words import (
    add_document_words,
    add_words,
    document_frequencies,
    remove_words,
    score_documents,
    search_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Manifest:
    """The catalogue's one row about itself.

    ``generation`` counts the commits that changed passages; ``lineage`` is new for every index
    and every rebuild, so that vectors of one are never taken for those of another.
    """

    fingerprint: IndexFingerprint
    lineage: uuid.UUID
    generation: int
    created_at: datetime
    updated_at: datetime


class Catalogue:
    """One connection to the catalogue, for reading one snapshot or for writing.

    A writer's changes form one transaction from the first change to ``commit``.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._passages_changed = False

    @classmethod
    def for_reading(cls, path: Path) -> Catalogue:
        """The last commit as of now: later ones are not seen.

        Raises ``IndexMissingError`` when there is no catalogue or it was never finished, and
        ``IndexMismatchError`` when it is of a newer schema, damaged or no catalogue.
        """
        if not path.is_file():
            raise IndexMissingError(f"no index in {path.parent}", 'run "ragcli index PATH"')
        with explained(path):
            connection = connect_for_reading(path)
            return cls._checked(connection, path)

    @classmethod
    def is_begun(cls, path: Path) -> bool:
        """Whether there is a catalogue, and not one whose maker was killed before it was begun.

        One that is damaged, or of another schema, is there.
        """
        try:
            cls.for_reading(path).close()
        except IndexMissingError:
            return False
        except (IndexMismatchError, sqlite3.DatabaseError):
            return True
        return True

    @classmethod
    def _checked(cls, connection: sqlite3.Connection, path: Path) -> Catalogue:
        try:
            version = check_schema(connection)
            if version == 0 or not _is_begun(connection):
                raise IndexMissingError(f"no index in {path.parent}", 'run "ragcli index PATH"')
            if version < len(MIGRATIONS):
                raise IndexOutdatedError(
                    f"the index in {path.parent} was written by an older ragcli",
                    'bring it up to date: run "ragcli index PATH"',
                )
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    @classmethod
    def for_writing(cls, path: Path) -> Catalogue:
        """The catalogue at the newest schema, made when there is none; needs the write lock.

        Raises ``IndexMismatchError`` as ``for_reading`` does.
        """
        with explained(path):
            return cls(connect_for_writing(path))

    def close(self) -> None:
        """Drop what was not committed and close the connection."""
        self.roll_back()
        self._connection.close()

    # -- the manifest ----------------------------------------------------------------------

    def manifest(self) -> Manifest | None:
        """What the catalogue says about itself, ``None`` before ``start``."""
        row = self._connection.execute(
            "SELECT fingerprint, lineage, generation, created_at, updated_at FROM manifest"
        ).fetchone()
        if row is None:
            return None
        created, updated = (datetime.fromisoformat(text) for text in row[3:])
        return Manifest(
            IndexFingerprint.from_json(row[0]), uuid.UUID(row[1]), row[2], created, updated
        )

    def start(self, fingerprint: IndexFingerprint, *, above: int = 0) -> None:
        """Begin a new lineage in an empty catalogue, whose passage ids lie ``above`` a number."""
        now = _now()
        with self.changing():
            self._connection.execute(
                "INSERT INTO manifest VALUES (1, ?, ?, 0, ?, ?)",
                (fingerprint.to_json(), uuid.uuid4().hex, now, now),
            )
            self._connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES ('passages', ?)", (above,)
            )
            self._passages_changed = True

    def highest_id(self) -> int:
        """The highest passage id that was ever given."""
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'passages'"
        ).fetchone()
        return 0 if row is None else int(row[0])

    def preferences(self) -> dict[str, str]:
        """What was chosen for this index, by name."""
        return dict(self._connection.execute("SELECT name, value FROM preferences"))

    def prefer(self, name: str, value: str | None) -> None:
        """Keep a choice for this index; ``None`` forgets it."""
        if value is None:
            self._connection.execute("DELETE FROM preferences WHERE name = ?", (name,))
        else:
            self._connection.execute(
                "INSERT OR REPLACE INTO preferences VALUES (?, ?)", (name, value)
            )

    @property
    def contents(self) -> Contents:
        """What the catalogue holds, source by source."""
        return Contents(self._connection)

    # -- transactions ----------------------------------------------------------------------

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to commit."""
        return self._connection.in_transaction

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Make the changes inside all or not at all; they last from the next ``commit`` on."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("SAVEPOINT change")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk has ended the transaction already
                self._connection.execute("ROLLBACK TO change")
                self._connection.execute("RELEASE change")
            raise
        self._connection.execute("RELEASE change")

    def touch(self) -> None:
        """Let the next commit count as one that changed passages."""
        self._passages_changed = True

    def commit(self) -> None:
        """Make the changes since the last commit durable and visible to new readers."""
        self._connection.execute(
            "UPDATE manifest SET updated_at = ?, generation = generation + ?",
            (_now(), int(self._passages_changed)),
        )
        self._connection.execute("COMMIT")
        self._passages_changed = False

    def roll_back(self) -> None:
        """Drop the changes since the last commit."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._passages_changed = False

    # -- sources and documents -------------------------------------------------------------

    def source(self, path: str) -> SourceState | None:
        """The source stored under ``path``."""
        row = self._connection.execute(
            f"SELECT {SOURCE_COLUMNS} FROM sources WHERE path = ?", (to_sql(path),)
        ).fetchone()
        return None if row is None else source_from(row)

    def sources(self) -> list[SourceState]:
        """All sources in the order of their paths."""
        rows = self._connection.execute(f"SELECT {SOURCE_COLUMNS} FROM sources")
        return sorted((source_from(row) for row in rows), key=lambda source: source.path)

    def remove_source(self, path: str) -> int:
        """Remove a source with all it holds; the number of passages removed."""
        row = self._connection.execute(
            "SELECT source_id FROM sources WHERE path = ?", (to_sql(path),)
        ).fetchone()
        if row is None:
            return 0
        removed = sum(self.remove_document(key) for key in self._document_keys_of(row[0]))
        self._connection.execute("DELETE FROM sources WHERE source_id = ?", row)
        return removed

    def begin_source(self, source: SourceState) -> int:
        """Add a source, or take down a new state of one whose documents stay; its key.

        Documents that ``meet`` is told of from here on outlive ``drop_unmet``.
        """
        self._connection.execute(
            f"INSERT INTO sources ({SOURCE_COLUMNS}) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET content_hash = excluded.content_hash,"
            " size = excluded.size, modified_ns = excluded.modified_ns,"
            " settings = excluded.settings",
            (to_sql(source.path), *state_values(source)),
        )
        self._connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS met (document_key INTEGER PRIMARY KEY)"
        )
        self._connection.execute("DELETE FROM met")
        (source_key,) = self._connection.execute(
            "SELECT source_id FROM sources WHERE path = ?", (to_sql(source.path),)
        ).fetchone()
        return int(source_key)

    def meet(self, document_key: int) -> None:
        """Note that the source begun last still has this document."""
        self._connection.execute("INSERT OR IGNORE INTO met VALUES (?)", (document_key,))

    def drop_unmet(self, source_key: int) -> int:
        """Remove the documents of a source that were not met; the number of passages removed."""
        rows = self._connection.execute(
            "SELECT document_key FROM documents WHERE source_id = ?"
            " AND document_key NOT IN (SELECT document_key FROM met)",
            (source_key,),
        ).fetchall()
        return sum(self.remove_document(document_key) for (document_key,) in rows)

    def update_source(self, source: SourceState) -> bool:
        """Write down a new state of a source whose documents stay; ``False`` when unknown."""
        cursor = self._connection.execute(
            "UPDATE sources SET content_hash = ?, size = ?, modified_ns = ?, settings = ?"
            " WHERE path = ?",
            (*state_values(source), to_sql(source.path)),
        )
        return cursor.rowcount == 1

    def find_document(self, source_key: int, document_id: str) -> tuple[int, Document] | None:
        """The document of a source that has this id, and its key."""
        row = self._connection.execute(
            f"SELECT {DOCUMENT_COLUMNS}, document_key FROM documents JOIN sources USING (source_id)"
            " WHERE source_id = ? AND document_id = ?",
            (source_key, to_sql(document_id)),
        ).fetchone()
        return None if row is None else (row[-1], document_from(row[:-1]))

    def add_document(self, source_key: int, document: Document) -> int:
        """Add a document to a source; its key."""
        cursor = self._connection.execute(
            f"INSERT INTO documents (source_id, {DOCUMENT_VALUE_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (source_key, *document_values(document)),
        )
        document_key = _last_key(cursor)
        add_document_words(self._connection, document_key)
        return document_key

    def remove_document(self, document_key: int) -> int:
        """Remove a document with all it holds; the number of passages removed."""
        remove_words(self._connection, document_key)
        removed = self._connection.execute(
            "DELETE FROM passages WHERE document_key = ?", (document_key,)
        ).rowcount
        self._connection.execute("DELETE FROM documents WHERE document_key = ?", (document_key,))
        self._passages_changed |= removed > 0
        return removed

    def _document_keys_of(self, source_key: int) -> list[int]:
        rows = self._connection.execute(
            "SELECT document_key FROM documents WHERE source_id = ?", (source_key,)
        )
        return [document_key for (document_key,) in rows]

    def documents(self, path: str) -> list[Document]:
        """The documents of a source in the order in which they were added."""
        rows = self._connection.execute(
            f"SELECT {DOCUMENT_COLUMNS} FROM documents JOIN sources USING (source_id)"
            " WHERE sources.path = ? ORDER BY document_key",
            (to_sql(path),),
        )
        return [document_from(row) for row in rows]

    # -- passages and vectors --------------------------------------------------------------

    def add_passage(
        self, document_key: int, title: str, passage: Passage, vector: bytes
    ) -> tuple[int, bytes]:
        """Add a passage with its vector (little-endian float32); its passage id and text hash.

        ``title`` is its document's.
        """
        of_text = text_hash(title, passage.heading, passage.text)
        cursor = self._connection.execute(
            'INSERT INTO passages (document_key, start, "end", text, heading, line, page,'
            " text_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                document_key,
                passage.start,
                passage.end,
                to_sql(passage.text),
                to_sql(passage.heading),
                passage.line,
                passage.page,
                of_text,
            ),
        )
        passage_id = _last_key(cursor)
        self._connection.execute("INSERT INTO vectors VALUES (?, ?)", (passage_id, vector))
        add_words(self._connection, passage_id)
        self._passages_changed = True
        return passage_id, of_text

    def vector_of_text(self, of_text: bytes) -> bytes | None:
        """The vector of a passage with this text hash, kept apart or not; ``None`` without one."""
        row = self._connection.execute(
            "SELECT vector FROM passages JOIN vectors USING (passage_id) WHERE text_hash = ?1"
            " UNION ALL SELECT vector FROM kept_vectors WHERE text_hash = ?1 LIMIT 1",
            (of_text,),
        ).fetchone()
        return None if row is None else row[0]

    def keep_vector(self, of_text: bytes, vector: bytes) -> None:
        """Keep the vector of a text whose document is not in place yet."""
        self._connection.execute(
            "INSERT OR IGNORE INTO kept_vectors VALUES (?, ?)", (of_text, vector)
        )

    def keeps_needless_vectors(self) -> bool:
        """Whether vectors are kept apart although every source is complete."""
        row = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM kept_vectors)"
            " AND NOT EXISTS (SELECT 1 FROM sources WHERE content_hash = ?)",
            (INCOMPLETE,),
        ).fetchone()
        return bool(row[0])

    def forget_kept_vectors(self) -> None:
        """Forget the vectors that are kept apart."""
        self._connection.execute("DELETE FROM kept_vectors")

    def passages(self, passage_ids: Sequence[int]) -> list[StoredPassage]:
        """The passages with these ids, in this order; raises ``KeyError`` for an unknown id."""
        found = {}
        for batch in _batches(passage_ids):
            rows = self._connection.execute(
                'SELECT passage_id, start, "end", passages.text, heading, line, page, document_id,'
                " sources.path, title, is_record, page_starts, metadata"
                " FROM passages JOIN documents USING (document_key) JOIN sources USING (source_id)"
                " WHERE passage_id IN (SELECT value FROM json_each(?))",
                (json.dumps(batch),),
            )
            found.update({row[0]: passage_from(row) for row in rows})
        return [found[passage_id] for passage_id in passage_ids]

    def document_passage_ids(self, document_id: str) -> list[int]:
        """Ids of the passages of the documents with this id, in order."""
        rows = self._connection.execute(
            "SELECT passage_id FROM passages JOIN documents USING (document_key)"
            " WHERE document_id = ? ORDER BY passage_id",
            (to_sql(document_id),),
        )
        return [row[0] for row in rows]

    def document_keys(self, passage_ids: Sequence[int]) -> dict[int, int]:
        """Which document each of these passages is of, by a key that tells documents apart."""
        found: dict[int, int] = {}
        for batch in _batches(passage_ids):
            found.update(
                self._connection.execute(
                    "SELECT passage_id, document_key FROM passages"
                    " WHERE passage_id IN (SELECT value FROM json_each(?))",
                    (json.dumps(batch),),
                ).fetchall()
            )
        return found

    def passage_documents(self) -> Iterator[tuple[int, str, str, bool]]:
        """Of every passage: its id, its document's id and path, and whether that is a record."""
        rows = self._connection.execute(
            "SELECT passage_id, document_id, sources.path, is_record"
            " FROM passages JOIN documents USING (document_key) JOIN sources USING (source_id)"
        )
        for passage_id, document_id, path, is_record in rows:
            yield passage_id, from_sql(document_id), from_sql(path), bool(is_record)

    def passage_ids(self, above: int | None = None) -> Iterator[int]:
        """All passage ids, or those above a number, unsorted; touches no vectors.

        All of them are read from an index that holds no texts either.
        """
        limit, values = ("", ()) if above is None else (" WHERE passage_id > ?", (above,))
        for row in self._connection.execute(f"SELECT passage_id FROM passages{limit}", values):
            yield row[0]

    def spread_passage_ids(self, count: int) -> list[int]:
        """At most ``count`` passage ids, spread evenly over those there are."""
        least, greatest = self._connection.execute(
            "SELECT (SELECT min(passage_id) FROM vectors), (SELECT max(passage_id) FROM vectors)"
        ).fetchone()
        if least is None:
            return []
        span = greatest - least + 1
        starts = {least + n * span // count for n in range(count)}
        found = {
            self._connection.execute(
                "SELECT min(passage_id) FROM vectors WHERE passage_id >= ?", (start,)
            ).fetchone()[0]
            for start in starts
        }
        return sorted(found)

    def vectors(self, passage_ids: Sequence[int]) -> Iterator[tuple[list[int], bytes]]:
        """Batches of ids with their vectors, concatenated little-endian float32."""
        for batch in _batches(passage_ids):
            rows = self._connection.execute(
                "SELECT passage_id, vector FROM vectors"
                " WHERE passage_id IN (SELECT value FROM json_each(?))",
                (json.dumps(batch),),
            ).fetchall()
            yield [row[0] for row in rows], b"".join(row[1] for row in rows)

    def search_words(self, expression: str, k: int, among: frozenset[int] | None) -> Scores:
        """Ids and BM25 scores of the ``k`` best passages for an FTS5 expression, best first."""
        return search_words(self._connection, expression, k, among)

    def score_document_words(self, expression: str, passage_ids: Sequence[int]) -> dict[int, float]:
        """BM25 of these passages' whole documents, of those that an FTS5 expression matches."""
        documents = self.document_keys(passage_ids)
        scores = score_documents(self._connection, expression, frozenset(documents.values()))
        return {
            passage_id: scores[document_key]
            for passage_id, document_key in documents.items()
            if document_key in scores
        }

    def document_frequencies(self, stems: Sequence[str]) -> Mapping[str, int]:
        """In how many passages each of these stems stands."""
        return document_frequencies(self._connection, stems)

    def described_documents(self) -> Iterator[DocumentDescription]:
        """Every document, without its text."""
        rows = self._connection.execute(
            "SELECT document_key, sources.path, title, modified_ns, metadata"
            " FROM documents JOIN sources USING (source_id)"
        )
        for key, path, title, modified_ns, metadata in rows:
            moment = datetime.fromtimestamp(abs(modified_ns) // 10**9, timezone.utc)
            yield DocumentDescription(
                key, from_sql(path), from_sql(title), moment.isoformat(), json.loads(metadata)
            )

    def passages_of(self, document_keys: Sequence[int]) -> Iterator[int]:
        """Ids of the passages of these documents, unsorted."""
        for batch in _batches(document_keys):
            for row in self._connection.execute(
                "SELECT passage_id FROM passages"
                " WHERE document_key IN (SELECT value FROM json_each(?))",
                (json.dumps(batch),),
            ):
                yield row[0]

    def counts(self) -> tuple[int, int, int]:
        """How many sources, documents and passages there are."""
        sources, documents, passages = self._connection.execute(
            "SELECT (SELECT count(*) FROM sources), (SELECT count(*) FROM documents),"
            " (SELECT count(*) FROM passages)"
        ).fetchone()
        return sources, documents, passages


def _is_begun(connection: sqlite3.Connection) -> bool:
    """Whether a catalogue says what made it, or holds anything, or is damaged.

    One whose maker was killed before that is no index yet.
    """
    query = "SELECT EXISTS (SELECT 1 FROM manifest) OR EXISTS (SELECT 1 FROM sources)"
    try:
        return bool(connection.execute(query).fetchone()[0])
    except sqlite3.DatabaseError:
        return True


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _last_key(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise RuntimeError("SQLite gave no key to a row that it inserted")
    return cursor.lastrowid


def _batches(passage_ids: Sequence[int]) -> Iterator[list[int]]:
    for first in range(0, len(passage_ids), _BATCH_ROWS):
        yield [int(passage_id) for passage_id in passage_ids[first : first + _BATCH_ROWS]]
