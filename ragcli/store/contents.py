"""What a catalogue holds, source by source: to be listed, shown, and copied to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragcli.records import Document, Passage
from ragcli.store.manifest import SourceState
from ragcli.store.rows import (
    DOCUMENT_COLUMNS,
    SOURCE_COLUMNS,
    document_from,
    from_sql,
    source_from,
    to_sql,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_OF_SOURCE = "FROM documents JOIN sources USING (source_id) WHERE sources.path = ?"


@dataclass(frozen=True, slots=True)
class HeldSource:
    """A source, and how many documents and passages the index holds of it."""

    state: SourceState
    documents: int
    passages: int


@dataclass(frozen=True, slots=True)
class HeldDocument:
    """A document without its text, and how many passages it was cut into."""

    document_id: str
    title: str
    passages: int


class Contents:
    """What one connection to a catalogue sees; nothing of it reads more than one document."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def sources(self) -> list[HeldSource]:
        """All sources in the order of their paths; reads no texts."""
        rows = self._connection.execute(
            f"SELECT {SOURCE_COLUMNS},"
            " (SELECT count(*) FROM documents WHERE documents.source_id = sources.source_id),"
            " (SELECT count(*) FROM documents JOIN passages USING (document_key)"
            " WHERE documents.source_id = sources.source_id) FROM sources"
        )
        held = [HeldSource(source_from(row[:-2]), *row[-2:]) for row in rows]
        return sorted(held, key=lambda source: source.state.path)

    def document_list(self, path: str) -> Iterator[HeldDocument]:
        """The documents of a source in the order in which they were added; reads no texts."""
        rows = self._connection.execute(
            "SELECT document_id, title, (SELECT count(*) FROM passages"
            f" WHERE passages.document_key = documents.document_key) {_OF_SOURCE}"
            " ORDER BY document_key",
            (to_sql(path),),
        )
        for document_id, title, passages in rows:
            yield HeldDocument(from_sql(document_id), from_sql(title), passages)

    def paths_of(self, document_id: str) -> list[str]:
        """The sources that have a document of this id, in the order of their paths."""
        rows = self._connection.execute(
            "SELECT sources.path FROM sources JOIN documents USING (source_id)"
            " WHERE document_id = ?",
            (to_sql(document_id),),
        )
        return sorted(from_sql(path) for (path,) in rows)

    def some_document_ids(self, most: int) -> list[str]:
        """The ids of the first so many documents."""
        rows = self._connection.execute("SELECT document_id FROM documents LIMIT ?", (most,))
        return [from_sql(document_id) for (document_id,) in rows]

    def document_keys(self, path: str, document_id: str | None = None) -> list[int]:
        """Keys of a source's documents, or of the one that has this id, as they were added."""
        condition = "" if document_id is None else " AND document_id = ?"
        named = () if document_id is None else (to_sql(document_id),)
        rows = self._connection.execute(
            f"SELECT document_key {_OF_SOURCE}{condition} ORDER BY document_key",
            (to_sql(path), *named),
        )
        return [document_key for (document_key,) in rows]

    def document(self, document_key: int) -> Document:
        """The document that has this key."""
        row = self._connection.execute(
            f"SELECT {DOCUMENT_COLUMNS} FROM documents JOIN sources USING (source_id)"
            " WHERE document_key = ?",
            (document_key,),
        ).fetchone()
        return document_from(row)

    def passages(self, document_key: int) -> list[tuple[Passage, bytes | None]]:
        """A document's passages in order, with their vectors, ``None`` where one is missing."""
        rows = self._connection.execute(
            'SELECT start, "end", text, heading, line, page, vector'
            " FROM passages LEFT JOIN vectors USING (passage_id)"
            " WHERE document_key = ? ORDER BY passage_id",
            (document_key,),
        )
        return [
            (Passage(start, end, from_sql(text), from_sql(heading), line, page), vector)
            for start, end, text, heading, line, page, vector in rows
        ]

    def passage_ids(self, document_key: int) -> list[int]:
        """Ids of a document's passages, in order."""
        rows = self._connection.execute(
            "SELECT passage_id FROM passages WHERE document_key = ? ORDER BY passage_id",
            (document_key,),
        )
        return [passage_id for (passage_id,) in rows]

    def passage_spans(self, document_key: int) -> list[tuple[int, int, int]]:
        """A document's passages in order: their ids, and where they begin and end in its text."""
        return self._connection.execute(
            'SELECT passage_id, start, "end" FROM passages WHERE document_key = ?'
            " ORDER BY passage_id",
            (document_key,),
        ).fetchall()
