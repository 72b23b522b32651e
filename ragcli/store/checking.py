"""Whether an index folder is sound: the catalogue in itself, and what is derived from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.errors import IndexMismatchError, RagcliError
from ragcli.store.catalogue import Catalogue, Manifest
from ragcli.store.connection import connect_for_reading, explained
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.manifest import INCOMPLETE
from ragcli.store.rebuilding import unfinished_rebuild
from ragcli.store.rows import from_sql, stored_text_hash
from ragcli.store.schema import MIGRATIONS
from ragcli.store.vectors.file import FILE_NAME, VectorFile

if TYPE_CHECKING:
    from ragcli.store.manifest import IndexFingerprint
    from ragcli.store.vectors.file import Footer
    from ragcli.store.vectors.library import FaissIndex

SOUND, NOTE, DAMAGED = "sound", "note", "damaged"
"""What a check can find: all is well; something to know, with nothing wrong; damage."""

_BATCH_ROWS = 4096
_MOST_NAMED = 5
_UNIT_TOLERANCE = 1e-3
_REPAIR = 'run "ragcli doctor --repair"'


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and how to mend it; ``state`` is ``SOUND``, ``NOTE`` or ``DAMAGED``."""

    check: str
    state: str
    detail: str
    remedy: str = ""


def check_folder(folder: Path) -> Iterator[Finding]:
    """Check the index in ``folder`` from end to end, as of its last commit; changes nothing.

    Raises ``IndexMissingError`` when there is none, and as ``Index.open`` for one that is of
    another schema. Damage that keeps the catalogue from being read is a finding.
    """
    path = folder / CATALOGUE_NAME
    try:
        catalogue = Catalogue.for_reading(path)
        catalogue.close()
        connection = connect_for_reading(path)
    except sqlite3.Error as error:
        yield _unreadable(error)
        return
    except IndexMismatchError as error:
        if not isinstance(error.__cause__, sqlite3.Error):
            raise
        yield _unreadable(error.__cause__)
        return
    with closing(connection):
        manifest = _manifest(path)
        if manifest is None:
            yield Finding("catalogue", DAMAGED, "it does not say what made the index", _REPAIR)
            return
        try:
            yield check_catalogue(connection)
            yield from _check_contents(connection, manifest)
            yield from _check_vector_file(folder, connection, manifest)
        except sqlite3.DatabaseError as error:
            yield _unreadable(error)
            return
        yield from _notes(folder, connection)


def _check_contents(connection: sqlite3.Connection, manifest: Manifest) -> Iterator[Finding]:
    """Whether every passage is its document's words, and has its vector and its words indexed."""
    wrong = damaged_sources(connection, manifest.fingerprint)
    passages = _count(connection, "passages")
    yield _listed(
        "passages", f"{passages} passages are their documents' text and have their vectors", wrong
    )
    unindexed = _differing(connection, "words_docsize", "passages", "passage_id")
    unindexed += _differing(connection, "document_words_docsize", "documents", "document_key")
    yield (
        Finding("words", SOUND, f"{passages} passages and their documents are indexed")
        if (not unindexed)
        else Finding("words", DAMAGED, f"{unindexed} rows do not match the catalogue", _REPAIR)
    )


def damaged_sources(connection: sqlite3.Connection, fingerprint: IndexFingerprint) -> list[str]:
    """Paths of the sources that have a passage whose text or vector is not what it should be."""
    damaged: set[str] = set()
    rows = connection.execute(
        'SELECT sources.path, documents.text, title, passages.text, heading, start, "end",'
        " text_hash, vector FROM passages LEFT JOIN documents USING (document_key)"
        " LEFT JOIN sources USING (source_id) LEFT JOIN vectors USING (passage_id)"
    )
    for path, whole, title, text, heading, start, end, of_text, blob in rows:
        if path is None or from_sql(path) in damaged:
            continue
        is_right = (
            from_sql(whole)[start:end] == from_sql(text)
            and stored_text_hash(title, heading, text) == of_text
            and is_unit(blob, fingerprint.dimension)
        )
        if not is_right:
            damaged.add(from_sql(path))
    return sorted(damaged)


def is_unit(blob: object, dimension: int) -> bool:
    """Whether a column holds a vector ``(dimension,)`` of length 1."""
    import numpy as np

    if not isinstance(blob, bytes) or len(blob) != 4 * dimension:
        return False
    return bool(abs(float(np.linalg.norm(np.frombuffer(blob, dtype="<f4"))) - 1) < _UNIT_TOLERANCE)


def check_catalogue(connection: sqlite3.Connection) -> Finding:
    """Whether the database is whole and every row has its parent."""
    complaints = [row[0] for row in connection.execute(f"PRAGMA integrity_check({_MOST_NAMED})")]
    if complaints == ["ok"]:
        complaints = [
            f"a row of {table} has lost its {parent}"
            for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check")
        ][:_MOST_NAMED]
    if complaints:
        return Finding("catalogue", DAMAGED, "; ".join(complaints), _REPAIR)
    sources, documents = _count(connection, "sources"), _count(connection, "documents")
    told = f"{sources} files, {documents} documents, schema {len(MIGRATIONS)}"
    return Finding("catalogue", SOUND, told)


def _check_vector_file(
    folder: Path, connection: sqlite3.Connection, manifest: Manifest
) -> Iterator[Finding]:
    """Compare ``vectors.faiss`` with the commit that the connection sees."""
    check = FILE_NAME
    file = VectorFile(folder)
    footer = file.footer()
    if footer is None and not (folder / FILE_NAME).exists():
        yield Finding(check, NOTE, "is missing; the next search or run derives it", _REPAIR)
        return
    if footer is None:
        yield Finding(check, DAMAGED, "is torn; searches do without it until it is mended", _REPAIR)
        return
    if footer.lineage != manifest.lineage or footer.generation != manifest.generation:
        behind = "is of an earlier commit; searches bring it in step"
        yield Finding(check, NOTE, behind, _REPAIR)
        return
    loaded = file.load(lambda _: True, lambda _: False)
    yield _compare(loaded, connection)


def _compare(loaded: tuple[FaissIndex, Footer] | None, connection: sqlite3.Connection) -> Finding:
    import numpy as np

    from ragcli.store.vectors.flat import is_flat
    from ragcli.store.vectors.library import held_ids

    if loaded is None:
        return Finding(FILE_NAME, DAMAGED, "its checksum does not hold", _REPAIR)
    faiss_index, footer = loaded
    rows = connection.execute("SELECT passage_id FROM vectors ORDER BY passage_id")
    wanted = np.fromiter((row[0] for row in rows), dtype=np.int64)
    ids = held_ids(faiss_index)
    missing, spare = len(np.setdiff1d(wanted, ids)), len(np.setdiff1d(ids, wanted))
    if missing or (spare and footer.derivation.is_exact):  # other types may be unable to remove
        told = f"lacks {missing} of {len(wanted)} passages, holds {spare} that are none"
        return Finding(FILE_NAME, DAMAGED, told, _REPAIR)
    differing = _differing_vectors(faiss_index, connection) if is_flat(faiss_index) else 0
    if differing:
        told = f"{differing} vectors differ from the catalogue's"
        return Finding(FILE_NAME, DAMAGED, told, _REPAIR)
    return Finding(FILE_NAME, SOUND, f"{len(ids)} vectors ({footer.derivation.factory})")


def _differing_vectors(faiss_index: FaissIndex, connection: sqlite3.Connection) -> int:
    import numpy as np

    rows = connection.execute("SELECT passage_id, vector FROM vectors")
    differing = 0
    while batch := rows.fetchmany(_BATCH_ROWS):
        held = faiss_index.reconstruct_batch(np.array([row[0] for row in batch], dtype=np.int64))
        stored = np.frombuffer(b"".join(row[1] for row in batch), dtype="<f4")
        differing += int((held != stored.reshape(held.shape)).any(axis=1).sum())
    return differing


def _notes(folder: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    incomplete = [
        from_sql(path)
        for (path,) in connection.execute(
            "SELECT path FROM sources WHERE content_hash = ?", (INCOMPLETE,)
        )
    ]
    if incomplete:
        told = f"{_few(incomplete)}: not every record is in the index yet"
        yield Finding("files", NOTE, told, 'run "ragcli index" again to go on')
    if unfinished_rebuild(folder):
        told = "one was begun and is not finished; searches use the index as it was"
        remedy = 'run "ragcli index --rebuild" again to go on, or "ragcli compact" to drop it'
        yield Finding("rebuild", NOTE, told, remedy)


def _listed(check: str, all_well: str, wrong: list[str]) -> Finding:
    if not wrong:
        return Finding(check, SOUND, all_well)
    return Finding(check, DAMAGED, f"{_few(wrong)}: text or vectors are not as stored", _REPAIR)


def _few(paths: list[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(paths[:_MOST_NAMED]) + more


def _manifest(path: Path) -> Manifest | None:
    try:
        with explained(path), closing(Catalogue.for_reading(path)) as catalogue:
            return catalogue.manifest()
    except (RagcliError, ValueError, TypeError):
        return None


def _differing(connection: sqlite3.Connection, indexed: str, table: str, key: str) -> int:
    """How many rows stand in one of a table and its inverted index alone."""
    (count,) = connection.execute(
        f"SELECT (SELECT count(*) FROM {indexed} WHERE id NOT IN (SELECT {key} FROM {table}))"
        f" + (SELECT count(*) FROM {table} WHERE {key} NOT IN (SELECT id FROM {indexed}))"
    ).fetchone()
    return int(count)


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _unreadable(error: sqlite3.Error) -> Finding:
    return Finding("catalogue", DAMAGED, f"cannot be read: {error}", _REPAIR)
