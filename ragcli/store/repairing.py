"""Mending an index folder: what can be read is kept, what is derived is made anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragcli.errors import IndexMismatchError
from ragcli.records import Document, Passage
from ragcli.store.catalogue import Catalogue
from ragcli.store.checking import DAMAGED, check_catalogue, damaged_sources, is_unit
from ragcli.store.connection import connect_for_reading, connect_for_writing
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.manifest import INCOMPLETE, IndexFingerprint
from ragcli.store.rows import (
    DOCUMENT_COLUMNS,
    SOURCE_COLUMNS,
    document_from,
    from_sql,
    source_from,
    to_sql,
)
from ragcli.store.words import index_words_anew

SALVAGED_NAME = "salvaged.sqlite"
DAMAGED_NAME = "damaged.sqlite"
_COMPANIONS = ("", "-wal", "-shm")
_TABLES = ("sources", "documents", "passages", "vectors")


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done, in words, and the sources whose passages have to be embedded anew."""

    done: tuple[str, ...]
    bare_sources: tuple[str, ...]


def mend_catalogue(folder: Path) -> Mended:
    """Mend the catalogue of ``folder``; for the holder of the write lock.

    One that cannot be read throughout is copied as far as it can be read, and kept under
    ``DAMAGED_NAME``. A source with a passage that is not as it was stored loses its passages and
    is marked as incomplete, so that the next run reads its file again. Raises
    ``IndexMismatchError`` when not even what made the index can be read.
    """
    path = folder / CATALOGUE_NAME
    done = []
    if not _is_readable(path):
        kept, lost = _salvage(folder)
        done.append(f"copied {kept} documents of a damaged catalogue, {lost} could not be read")
    with closing(connect_for_writing(path)) as connection, closing(Catalogue(connection)) as mended:
        with mended.changing():
            orphans = _remove_orphans(connection)
            manifest = mended.manifest()
            damaged = damaged_sources(connection, manifest.fingerprint) if manifest else []
            for source in damaged:
                _strip(connection, source)
            index_words_anew(connection)
            bare = _bare_sources(connection)
            mended.touch()
        mended.commit()
    if orphans:
        done.append(f"removed {orphans} rows that belonged to nothing")
    done.append("indexed the words anew")
    return Mended(tuple(done), tuple(bare))


def _is_readable(path: Path) -> bool:
    try:
        with closing(connect_for_reading(path)) as connection:
            if check_catalogue(connection).state == DAMAGED:
                # A row without its parent is mended in place.
                (complaint,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
                return bool(complaint == "ok")
    except (sqlite3.Error, IndexMismatchError):
        return False
    return True


def _remove_orphans(connection: sqlite3.Connection) -> int:
    removed = 0
    for table, parent, key in (
        ("documents", "sources", "source_id"),
        ("passages", "documents", "document_key"),
        ("vectors", "passages", "passage_id"),
    ):
        removed += connection.execute(
            f"DELETE FROM {table} WHERE {key} NOT IN (SELECT {key} FROM {parent})"
        ).rowcount
    return removed


def _strip(connection: sqlite3.Connection, source: str) -> None:
    """Remove a source's passages; its documents stay, its file is to be read again."""
    connection.execute(
        "DELETE FROM passages WHERE document_key IN (SELECT document_key FROM documents"
        " JOIN sources USING (source_id) WHERE sources.path = ?)",
        (to_sql(source),),
    )
    connection.execute(
        "UPDATE sources SET content_hash = ? WHERE path = ?", (INCOMPLETE, to_sql(source))
    )


def _bare_sources(connection: sqlite3.Connection) -> list[str]:
    """Incomplete sources that have a document with words and without a passage."""
    rows = connection.execute(
        "SELECT DISTINCT sources.path, documents.text FROM documents JOIN sources USING (source_id)"
        " WHERE sources.content_hash = ? AND document_key NOT IN"
        " (SELECT document_key FROM passages)",
        (INCOMPLETE,),
    )
    return sorted({from_sql(path) for path, text in rows if from_sql(text).strip()})


# -- a catalogue that cannot be read throughout ----------------------------------------------


def _salvage(folder: Path) -> tuple[int, int]:
    """Copy what can be read and let the copy take the place; documents kept and lost."""
    salvaged = folder / SALVAGED_NAME
    _unlink(salvaged)
    with (
        closing(_connect_to_ruin(folder / CATALOGUE_NAME)) as ruin,
        closing(Catalogue.for_writing(salvaged)) as copy,
    ):
        fingerprint = _begin(ruin, copy)
        kept, lost = _copy_sources(ruin, copy, fingerprint)
        copy.commit()
    _unlink(folder / DAMAGED_NAME)
    for companion in _COMPANIONS:
        with suppress(FileNotFoundError):
            (folder / f"{CATALOGUE_NAME}{companion}").rename(folder / f"{DAMAGED_NAME}{companion}")
    salvaged.rename(folder / CATALOGUE_NAME)
    _unlink(salvaged)
    return kept, lost


def _unlink(path: Path) -> None:
    for companion in _COMPANIONS:
        path.with_name(f"{path.name}{companion}").unlink(missing_ok=True)


def _connect_to_ruin(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _begin(ruin: sqlite3.Connection, copy: Catalogue) -> IndexFingerprint:
    try:
        (made_by,) = ruin.execute("SELECT fingerprint FROM manifest").fetchone()
        fingerprint = IndexFingerprint.from_json(made_by)
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise IndexMismatchError(
            f"the catalogue is damaged beyond repair: {error}",
            'move the index folder away and run "ragcli index PATH" anew',
        ) from error
    with suppress(sqlite3.Error, TypeError):
        for name, value in ruin.execute("SELECT name, value FROM preferences").fetchall():
            copy.prefer(name, value)
    copy.start(fingerprint, above=_last_key(ruin, "passages", "passage_id"))
    return fingerprint


def _copy_sources(
    ruin: sqlite3.Connection, copy: Catalogue, fingerprint: IndexFingerprint
) -> tuple[int, int]:
    kept = lost = 0
    passages = _passages_by_document(ruin, fingerprint.dimension)
    documents = _documents_by_source(ruin)
    for source_id in _keys(ruin, "sources", "source_id"):
        row = _row(ruin, f"SELECT {SOURCE_COLUMNS} FROM sources WHERE source_id = ?", source_id)
        if row is None:
            lost += len(documents.pop(source_id, ()))
            continue
        source, whole = source_from(row), True
        key = copy.begin_source(replace(source, content_hash=INCOMPLETE))
        for document_key in documents.get(source_id, ()):
            document = _document(ruin, document_key)
            if document is None:
                whole, lost = False, lost + 1
                continue
            kept += 1
            own = passages.get(document_key, [])
            complete = "".join(passage.text for passage, _ in own) == document.text
            whole &= complete or not document.text.strip()
            copied = copy.add_document(key, document)
            for passage, vector in own if complete else ():
                copy.add_passage(copied, document.title, passage, vector)
        if whole:
            copy.update_source(source)
    return kept, lost


def _documents_by_source(ruin: sqlite3.Connection) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for key in _keys(ruin, "documents", "document_key"):
        row = _row(ruin, "SELECT source_id FROM documents WHERE document_key = ?", key)
        if row is not None:
            found.setdefault(row[0], []).append(key)
    return found


def _document(ruin: sqlite3.Connection, document_key: int) -> Document | None:
    row = _row(
        ruin,
        f"SELECT {DOCUMENT_COLUMNS} FROM documents JOIN sources USING (source_id)"
        " WHERE document_key = ?",
        document_key,
    )
    try:
        return None if row is None else document_from(row)
    except (ValueError, TypeError, json.JSONDecodeError):
        return None


def _passages_by_document(
    ruin: sqlite3.Connection, dimension: int
) -> dict[int, list[tuple[Passage, bytes]]]:
    """What can be read of the passages that have a vector, in the order of their documents."""
    found: dict[int, list[tuple[Passage, bytes]]] = {}
    for key in _keys(ruin, "passages", "passage_id"):
        row = _row(
            ruin,
            'SELECT document_key, start, "end", text, heading, line, page, vector'
            " FROM passages JOIN vectors USING (passage_id) WHERE passage_id = ?",
            key,
        )
        if row is None or not is_unit(row[-1], dimension):
            continue
        document_key, start, end, text, heading, line, page, vector = row
        passage = Passage(start, end, from_sql(text), from_sql(heading), line, page)
        found.setdefault(document_key, []).append((passage, vector))
    return found


def _keys(ruin: sqlite3.Connection, table: str, key: str) -> Iterator[int]:
    """Every key that there may be; a table's own walk would end at the first hole."""
    return iter(range(1, _last_key(ruin, table, key) + 1))


def _last_key(ruin: sqlite3.Connection, table: str, key: str) -> int:
    for query in (
        f"SELECT max({key}) FROM {table}",
        f"SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1",
        f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'",
    ):
        with suppress(sqlite3.Error):
            row = ruin.execute(query).fetchone()
            if row and row[0]:
                return int(row[0])
    return 0


def _row(ruin: sqlite3.Connection, query: str, key: int) -> tuple[Any, ...] | None:
    """The row, ``None`` when there is none or it cannot be read."""
    try:
        found: tuple[Any, ...] | None = ruin.execute(query, (key,)).fetchone()
    except sqlite3.Error:
        return None
    return found
