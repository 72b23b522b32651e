"""Copying what can be read of a catalogue in ruins.

Every row is read for itself. Where a table has holes, its indexes may still name what stood there.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from ragcli.errors import IndexMismatchError, RagcliError
from ragcli.store.catalogue import Catalogue
from ragcli.store.checking import BEYOND_REPAIR, readable_manifest
from ragcli.store.connection import PAGE_BYTES, copy_database, explained, is_damage
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.manifest import INCOMPLETE, IndexFingerprint, SourceState
from ragcli.store.rows import DOCUMENT_VALUE_COLUMNS, SOURCE_COLUMNS
from ragcli.store.soundness import (
    PASSAGE_COLUMNS,
    Examined,
    HeldPassage,
    ReadDocument,
    document_from_row,
    examine,
    is_unit,
    lenient_text,
    passage_from_row,
    readable_text,
    source_from_row,
    stored_text,
)

SALVAGED_NAME = "salvaged.sqlite"
COMPANIONS = ("", "-wal", "-shm", "-journal")

_DAMAGED_STEM = "damaged"
_LAST_KEY = 2**63 - 1
_MOST_ROWS = 1024
_PATIENCE = 1024  # keys tried one by one in a hole, before the steps are doubled
_BUSY_SECONDS = 10.0


def salvage(folder: Path) -> str:
    """Let a copy of what can be read of the catalogue take its place; what was copied, in words.

    What it was is kept beside it (see ``kept_damaged``). For the holder of the write lock. Raises
    ``IndexMismatchError`` when not even what made the index can be read.
    """
    salvaged = folder / SALVAGED_NAME
    unlink_database(salvaged)
    try:
        with (
            closing(_connect_to_ruin(folder / CATALOGUE_NAME)) as connection,
            explained(salvaged),
            closing(Catalogue.for_writing(salvaged)) as copy,
        ):
            told = _Salvage(_Ruin(connection), copy).run()
            copy.commit()
        kept = _keep_damaged(folder)
        overwrite_catalogue(salvaged, folder)
    finally:
        unlink_database(salvaged)
    return f"{told}; the damaged catalogue is kept as {kept}"


def overwrite_catalogue(whole: Path, folder: Path) -> None:
    """Let ``whole`` take the place of the catalogue of ``folder``, however damaged that is.

    In one transaction where SQLite can begin one: readers go on with what they see.
    """
    path = folder / CATALOGUE_NAME
    if not (path.exists() and _overwritten(whole, path)):
        unlink_database(path)
        whole.rename(path)


def _overwritten(whole: Path, path: Path) -> bool:
    """Copy one database over another in one transaction; ``False`` when that one has no header."""
    try:
        with closing(sqlite3.connect(whole)) as source, closing(_connect_to_ruin(path)) as target:
            target.execute("PRAGMA query_only = OFF")
            if target.execute("PRAGMA page_size").fetchone() != (PAGE_BYTES,):
                return False
            target.execute("PRAGMA journal_mode = WAL")
            target.execute("PRAGMA synchronous = FULL")
            copy_database(source, target)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return False
    return True


def counted(count: int, name: str) -> str:
    """So many things of a name: ``1 file``, ``2 files``."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def unlink_database(path: Path) -> None:
    """Remove a database with the files that SQLite puts beside it."""
    for companion in COMPANIONS:
        path.with_name(f"{path.name}{companion}").unlink(missing_ok=True)


def kept_damaged(folder: Path) -> list[Path]:
    """The damaged catalogues that repairs have kept."""
    return sorted(folder.glob(f"{_DAMAGED_STEM}-*.sqlite"))


def _keep_damaged(folder: Path) -> str:
    """Copy the catalogue and its log aside; the name of the copy."""
    number = 1
    while (folder / f"{_DAMAGED_STEM}-{number}.sqlite").exists():
        number += 1
    kept = folder / f"{_DAMAGED_STEM}-{number}.sqlite"
    try:
        for companion in ("-wal", ""):
            with suppress(FileNotFoundError):
                shutil.copyfile(
                    folder / f"{CATALOGUE_NAME}{companion}", folder / f"{kept.name}{companion}"
                )
    except OSError as error:
        unlink_database(kept)
        raise RagcliError(
            f"cannot keep a copy of the damaged catalogue: {error.strerror or error}",
            "make room in the index folder: mending takes twice what the index takes",
        ) from error
    return kept.name


def _connect_to_ruin(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.text_factory = lenient_text
    # Else SQLite refuses a file that was cut short, and a schema that it cannot make out.
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("PRAGMA query_only = ON")
    return connection


class _Ruin:
    """A database that may fail at any row."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.tables_with_holes: set[str] = set()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]] | None:
        """The rows, ``None`` when they cannot be read."""
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError:
            return None

    def row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        """The first row, ``None`` when there is none or it cannot be read."""
        found = self.rows(query, *values)
        return found[0] if found else None

    def walk(self, query: str) -> tuple[list[tuple[Any, ...]], bool]:
        """The rows up to the first that cannot be read, and whether these are all."""
        found = []
        try:
            for row in self.connection.execute(query):
                found.append(row)
        except sqlite3.DatabaseError:
            return found, False
        return found, True

    def keys(self, table: str, key: str) -> Iterator[int]:
        """The keys of a table that can be read; a hole is walked through key by key."""

        def following(at: int, most: int) -> list[int] | None:
            """Some keys above a number, in order; ``None`` in a hole."""
            rows = self.rows(
                f"SELECT {key} FROM {table} NOT INDEXED WHERE {key} > ? ORDER BY {key} LIMIT ?",
                at,
                most,
            )
            found = None if rows is None else [row[0] for row in rows]
            # In ruins a way through a table may lead in circles.
            return None if found and found != sorted({*found, at})[1:] else found

        at, limit, misses = 0, _MOST_ROWS, 0
        while at < _LAST_KEY:
            found = following(at, limit)
            if found:
                yield from found
                at, limit, misses = found[-1], min(2 * limit, _MOST_ROWS), 0
            elif found is not None:
                return
            elif limit > 1:
                self.tables_with_holes.add(table)
                limit = 1
            else:
                step = 1 << (misses // _PATIENCE)
                misses += 1
                at = min(at + step, _LAST_KEY)
                while step > 1 and following(at, 1):  # back to where the hole ends
                    step //= 2
                    at -= step if following(at - step, 1) else 0


class _Salvage:
    """Copies sources, one document in memory at a time."""

    def __init__(self, ruin: _Ruin, copy: Catalogue) -> None:
        self._ruin = ruin
        self._copy = copy
        self._kept = self._lost = 0
        self._dimension = 0
        columns = ruin.rows("SELECT name FROM pragma_table_info('passages')") or []
        # An old schema may lie in ruins as well.
        of_text = "text_hash" if ("text_hash",) in columns else "NULL"
        self._passage_columns = PASSAGE_COLUMNS.replace("text_hash", of_text)

    def run(self) -> str:
        """Copy all that can be read; what that was, in words."""
        manifest = readable_manifest(self._ruin.connection)
        if manifest is None:
            raise IndexMismatchError(
                "the catalogue is damaged beyond repair: what made the index cannot be read",
                BEYOND_REPAIR,
            )
        self._dimension = manifest.fingerprint.dimension
        self._begin(manifest.fingerprint)
        sources = self._sources()
        documents, is_certain = self._documents()
        known = {key for source_id in sources for key in documents.get(source_id, ())}
        passages = self._passages(known)
        nameless = (passages.keys() | set().union(*documents.values())) - known
        self._lost += len(nameless)
        for source_id, source in sources.items():
            keys = sorted(documents.get(source_id, ()))
            whole = self._copy_source(source_id, source, keys, passages)
            if whole and is_certain and not nameless:  # any source may have lost those
                self._copy.update_source(source)
        if not self._kept:
            raise IndexMismatchError(
                "the catalogue is damaged beyond repair: no document of it can be read",
                BEYOND_REPAIR,
            )
        lost = f", lost {self._lost}" if self._lost else ""
        return f"copied {counted(self._kept, 'document')} out of a catalogue with holes{lost}"

    def _begin(self, fingerprint: IndexFingerprint) -> None:
        preferences, _ = self._ruin.walk("SELECT name, value FROM preferences")
        for name, value in preferences:
            if stored_text(name) and stored_text(value):
                self._copy.prefer(name, value)
        self._copy.start(fingerprint)
        kept, _ = self._ruin.walk("SELECT text_hash, vector FROM kept_vectors")
        for of_text, vector in kept:
            if isinstance(of_text, bytes) and is_unit(vector, self._dimension):
                self._copy.keep_vector(of_text, vector)

    # -- what there is -----------------------------------------------------------------------

    def _sources(self) -> dict[int, SourceState]:
        """The sources by their keys; of some no more than the path is known."""
        found: dict[int, SourceState] = {}
        named, _ = self._ruin.walk(
            "SELECT source_id, path FROM sources INDEXED BY sqlite_autoindex_sources_1"
        )
        for key, path in named:
            if stored_text(path):
                found[key] = SourceState(readable_text(path), INCOMPLETE, 0, 0)
        for key in self._ruin.keys("sources", "source_id"):
            row = self._ruin.row(f"SELECT {SOURCE_COLUMNS} FROM sources WHERE source_id = ?", key)
            if row is not None and stored_text(row[0]):
                found[key], _ = source_from_row(row)
        return found

    def _documents(self) -> tuple[dict[int, set[int]], bool]:
        """Keys of documents by source, and whether these are certain to be all."""
        by_table = set[tuple[int, int]]()
        for key in self._ruin.keys("documents", "document_key"):
            row = self._ruin.row("SELECT source_id FROM documents WHERE document_key = ?", key)
            if row is not None:
                by_table.add((row[0], key))
        walks = [(by_table, "documents" not in self._ruin.tables_with_holes)]
        for index in ("sqlite_autoindex_documents_1", "documents_described"):
            rows, is_whole = self._ruin.walk(
                f"SELECT source_id, document_key FROM documents INDEXED BY {index}"
            )
            walks.append(({(source_id, key) for source_id, key in rows}, is_whole))
        found: dict[int, set[int]] = {}
        for source_id, key in set().union(*(pairs for pairs, _ in walks)):
            found.setdefault(source_id, set()).add(key)
        whole = [pairs for pairs, is_whole in walks if is_whole]
        return found, any(one == other for one, other in combinations(whole, 2))

    def _passages(self, documents: Iterable[int]) -> dict[int, set[int]]:
        """Ids of passages by document."""
        found: dict[int, set[int]] = {}
        for key in self._ruin.keys("passages", "passage_id"):
            row = self._ruin.row("SELECT document_key FROM passages WHERE passage_id = ?", key)
            if row is not None:
                found.setdefault(row[0], set()).add(key)
        for document_key in documents:
            rows = self._ruin.rows(
                "SELECT passage_id FROM passages INDEXED BY passages_of_document"
                " WHERE document_key = ?",
                document_key,
            )
            found.setdefault(document_key, set()).update(key for (key,) in rows or ())
        return found

    # -- copying it --------------------------------------------------------------------------

    def _copy_source(
        self, source_id: int, source: SourceState, keys: list[int], passages: dict[int, set[int]]
    ) -> bool:
        """Copy a source as incomplete; whether it is all there."""
        copied = self._copy.begin_source(replace(source, content_hash=INCOMPLETE))
        whole = True
        for key in keys:
            examined = self._examined(source_id, source.path, key, passages.get(key, set()))
            if examined is None or not self._copy_document(copied, examined):
                self._lost += 1
                whole = False
            else:
                self._kept += 1
                whole &= examined.is_sound
        return whole

    def _copy_document(self, source_key: int, examined: Examined) -> bool:
        document = examined.document
        try:
            key = self._copy.add_document(source_key, document)
        except sqlite3.IntegrityError:  # another one has its id
            return False
        for held in examined.passages:
            self._copy.add_passage(key, document.title, held.passage, held.vector)
        for of_text, vector in examined.kept.items():
            self._copy.keep_vector(of_text, vector)
        return True

    def _examined(
        self, source_id: int, path: str, key: int, passage_ids: set[int]
    ) -> Examined | None:
        """What can be read of a document; ``None`` when that is no text."""
        rows = [self._held_passage(passage_id) for passage_id in sorted(passage_ids)]
        rows.sort(key=lambda held: -1 if held is None else held.passage.start)
        row = self._ruin.row(
            f"SELECT {DOCUMENT_VALUE_COLUMNS} FROM documents WHERE document_key = ?", key
        )
        if row is not None:
            return examine(document_from_row(path, row), rows, self._dimension)
        stand_in = self._named_document(source_id, path, key)
        if stand_in is None:
            return None
        examined = examine(stand_in, rows, self._dimension)
        return examined if examined.document.text else None

    def _named_document(self, source_id: int, path: str, key: int) -> ReadDocument | None:
        """A document without its text, by what the indexes know of it."""
        named = self._ruin.row(
            "SELECT document_id FROM documents INDEXED BY sqlite_autoindex_documents_1"
            " WHERE source_id = ? AND document_key = ?",
            source_id,
            key,
        )
        if named is None:
            return None
        described = self._ruin.row(
            "SELECT title, metadata FROM documents INDEXED BY documents_described"
            " WHERE source_id = ? AND document_key = ?",
            source_id,
            key,
        )
        title, metadata = described or ("", "{}")
        is_record = readable_text(named[0]) != path
        values = (*named, title, "", "", None, is_record, "[]", "[]", metadata)
        return replace(document_from_row(path, values), is_intact=False)

    def _held_passage(self, passage_id: int) -> HeldPassage | None:
        row = self._ruin.row(
            f"SELECT {self._passage_columns} FROM passages WHERE passage_id = ?", passage_id
        )
        vector = self._ruin.row("SELECT vector FROM vectors WHERE passage_id = ?", passage_id)
        return None if row is None else passage_from_row((*row, *(vector or (b"",))))
