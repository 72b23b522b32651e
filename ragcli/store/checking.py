"""Whether an index folder is sound: the catalogue in itself, and what is derived from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ragcli.errors import IndexMismatchError
from ragcli.store.catalogue import Catalogue, Manifest
from ragcli.store.connection import connect_for_reading
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.manifest import INCOMPLETE, IndexFingerprint
from ragcli.store.rows import SOURCE_COLUMNS
from ragcli.store.schema import MIGRATIONS
from ragcli.store.soundness import (
    examined_document,
    is_count,
    is_unit,
    lenient_text,
    readable_text,
    source_from_row,
    stored_text,
)
from ragcli.store.vectors.checking import look_at_vectors
from ragcli.store.vectors.file import FILE_NAME
from ragcli.store.words_checking import words_flaw

SOUND, NOTE, DAMAGED = "sound", "note", "damaged"
"""What a check can find: all is well; something to know, with nothing wrong; damage."""

REPAIR = 'run "ragcli doctor --repair"'
BEYOND_REPAIR = 'move the index folder away and run "ragcli index PATH" anew'

_MOST_COMPLAINTS = 3
_INVERTED_INDEXES = 2
_NOT_A_DATABASE = "file is not a database"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and how to mend it; ``state`` is ``SOUND``, ``NOTE`` or ``DAMAGED``.

    ``paths`` are the sources that it is about.
    """

    check: str
    state: str
    detail: str
    remedy: str = ""
    paths: tuple[str, ...] = ()


def check_folder(folder: Path) -> Iterator[Finding]:
    """Check the index in ``folder`` from end to end, as of its last commit; changes nothing.

    Raises ``IndexMissingError`` when there is none, and as ``Index.open`` for one that is of
    another schema. Damage that keeps the catalogue from being read is a finding.
    """
    path = folder / CATALOGUE_NAME
    try:
        Catalogue.for_reading(path).close()
        connection = connect_for_reading(path)
    except sqlite3.DatabaseError as error:
        yield _unreadable("catalogue", error)
        return
    except IndexMismatchError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError):
            raise
        yield _unreadable("catalogue", error.__cause__)
        return
    connection.text_factory = lenient_text
    with closing(connection):
        yield from _guarded("catalogue", _check_catalogue(connection))
        manifest = readable_manifest(connection)
        if manifest is None:
            told = "does not say what made the index"
            yield Finding("catalogue", DAMAGED, told, BEYOND_REPAIR)
            return
        yield from _guarded("files", _check_files(connection))
        yield from _guarded("documents", _check_documents(connection, manifest))
        yield from _guarded("words", _check_words(connection))
        yield from _guarded(FILE_NAME, _check_vectors(folder, connection, manifest))


def readable_fingerprint(folder: Path) -> IndexFingerprint | None:
    """What made the index in ``folder``, of any schema; ``None`` when that cannot be read."""
    path = folder / CATALOGUE_NAME
    if not path.is_file():
        return None
    with suppress(sqlite3.DatabaseError), closing(connect_for_reading(path)) as connection:
        manifest = readable_manifest(connection)
        return None if manifest is None else manifest.fingerprint
    return None


def readable_manifest(connection: sqlite3.Connection) -> Manifest | None:
    """What the catalogue says about itself; ``None`` when that cannot be read."""
    try:
        manifest = Catalogue(connection).manifest()
    except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError):
        return None
    if manifest is None:
        return None
    made_by = manifest.fingerprint
    is_sound = is_count(made_by.dimension) and stored_text(made_by.encoder_name) is not None
    return manifest if is_sound else None


def complaints_about(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the database's pages and indexes; nothing when they are whole.

    Not with the inverted indexes, which versions since 3.44 look at as well: ``words_flaw`` does.
    Raises ``sqlite3.DatabaseError`` when they cannot be read.
    """
    try:
        complaints = _integrity(connection, str(_MOST_COMPLAINTS + _INVERTED_INDEXES))
    except sqlite3.DatabaseError as error:
        if not _is_of_words(str(error)):
            raise
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage"
        )
        names = [name for (name,) in tables]
        complaints = [one for name in names for one in _integrity(connection, f"'{name}'")]
    return [one for one in complaints if not _is_of_words(one)][:_MOST_COMPLAINTS]


def _integrity(connection: sqlite3.Connection, argument: str) -> list[str]:
    rows = connection.execute(f"PRAGMA integrity_check({argument})")
    complaints = [" ".join(str(row[0]).split()) for row in rows]
    return [] if complaints == ["ok"] else complaints


def _is_of_words(complaint: str) -> bool:
    return "fts5" in complaint.lower()


def flawed_sources(connection: sqlite3.Connection) -> list[int]:
    """Keys of the sources with a value that cannot be meant."""
    rows = connection.execute(f"SELECT source_id, {SOURCE_COLUMNS} FROM sources")
    return [key for key, *values in rows if not source_from_row(values)[1]]


def flawed_kept_vectors(connection: sqlite3.Connection, dimension: int) -> list[bytes]:
    """Text hashes of vectors that are kept apart and are none."""
    rows = connection.execute("SELECT text_hash, vector FROM kept_vectors")
    return [of_text for of_text, vector in rows if not is_unit(vector, dimension)]


def document_keys(connection: sqlite3.Connection) -> list[int]:
    """Keys of the documents whose source is there."""
    rows = connection.execute(
        "SELECT document_key FROM documents JOIN sources USING (source_id) ORDER BY document_key"
    )
    return [key for (key,) in rows]


# -- the checks ----------------------------------------------------------------------------


def _guarded(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of a check; where it cannot go on, that is one as well."""
    try:
        yield from findings
    except sqlite3.DatabaseError as error:
        yield _unreadable(check, error)


def _check_catalogue(connection: sqlite3.Connection) -> Iterator[Finding]:
    complaints = complaints_about(connection)
    if not complaints:
        complaints = [
            f"a row of {table} has lost its {parent}"
            for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check")
        ][:_MOST_COMPLAINTS]
    if complaints:
        yield Finding("catalogue", DAMAGED, "; ".join(complaints), REPAIR)
        return
    yield Finding("catalogue", SOUND, f"the database is whole, schema {len(MIGRATIONS)}")


def _check_files(connection: sqlite3.Connection) -> Iterator[Finding]:
    keys = flawed_sources(connection)
    rows = connection.execute("SELECT source_id, path, content_hash FROM sources").fetchall()
    if keys:
        paths = sorted(readable_text(path) for key, path, _ in rows if key in set(keys))
        told = "the state that they were read in is damaged"
        yield Finding("files", DAMAGED, told, REPAIR, tuple(paths))
    incomplete = sorted(readable_text(path) for _, path, of in rows if of == INCOMPLETE)
    if incomplete:
        told = "not every document of them is certain to be in place"
        remedy = 'run "ragcli index PATH" again to go on'
        yield Finding("files", NOTE, told, remedy, tuple(incomplete))
    if not keys and not incomplete:
        yield Finding("files", SOUND, f"{len(rows)} are in place")


def _check_documents(connection: sqlite3.Connection, manifest: Manifest) -> Iterator[Finding]:
    """Whether every passage is its document's text, and has its vector."""
    keys = document_keys(connection)
    dimension = manifest.fingerprint.dimension
    found = (examined_document(connection, key, dimension) for key in keys)
    paths = {examined.document.path for examined in found if not examined.is_sound}
    (passages,) = connection.execute("SELECT count(*) FROM passages").fetchone()
    if paths:
        told = "texts, places or vectors are not as they were stored"
        yield Finding("documents", DAMAGED, told, REPAIR, tuple(sorted(paths)))
    elif flawed_kept_vectors(connection, dimension):
        told = "vectors that are kept for a file in work are damaged"
        yield Finding("documents", DAMAGED, told, REPAIR)
    else:
        told = f"{len(keys)}, cut into {passages} passages, are as they were stored"
        yield Finding("documents", SOUND, told)


def _check_words(connection: sqlite3.Connection) -> Iterator[Finding]:
    flaw = words_flaw(connection)
    if flaw:
        yield Finding("words", DAMAGED, flaw, REPAIR)
    else:
        yield Finding("words", SOUND, "they are indexed as they stand in the texts")


def _check_vectors(
    folder: Path, connection: sqlite3.Connection, manifest: Manifest
) -> Iterator[Finding]:
    seen = look_at_vectors(folder, connection, manifest)
    if seen.flaw:
        yield Finding(FILE_NAME, DAMAGED, seen.flaw, REPAIR)
    elif seen.lag:
        yield Finding(FILE_NAME, NOTE, seen.lag)
    else:
        yield Finding(FILE_NAME, SOUND, seen.told)


def _unreadable(check: str, error: sqlite3.Error) -> Finding:
    remedy = BEYOND_REPAIR if str(error) == _NOT_A_DATABASE else REPAIR
    return Finding(check, DAMAGED, f"cannot be read: {error}", remedy)
