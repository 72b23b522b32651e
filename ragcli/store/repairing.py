"""Mending an index folder: what can be read is kept, what is derived is made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.errors import IndexMismatchError
from ragcli.records import Document, Passage
from ragcli.store.catalogue import Catalogue, Manifest
from ragcli.store.checking import (
    BEYOND_REPAIR,
    complaints_about,
    document_keys,
    flawed_kept_vectors,
    flawed_sources,
    readable_manifest,
)
from ragcli.store.connection import (
    connect_for_reading,
    connect_for_writing,
    explained,
    is_damage,
)
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.manifest import INCOMPLETE
from ragcli.store.rows import (
    DOCUMENT_VALUE_COLUMNS,
    SOURCE_COLUMNS,
    document_values,
    text_hash,
    to_sql,
)
from ragcli.store.salvaging import counted, salvage
from ragcli.store.soundness import (
    BARE_MARK,
    Examined,
    examined_document,
    is_unit,
    lenient_text,
    source_from_row,
)
from ragcli.store.vectors.checking import look_at_vectors
from ragcli.store.vectors.file import VectorFile
from ragcli.store.words import index_words_anew
from ragcli.store.words_checking import words_flaw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Splitter = Callable[[Document], Sequence[Passage]]
    PassageEncoder = Callable[[Sequence[tuple[Document, Passage]]], NDArray[np.float32]]

BATCH_PASSAGES = 256
"""Passages embedded and committed together: what a kill can lose."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done, in words, and keys of the documents that have to be embedded anew."""

    done: tuple[str, ...]
    bare: tuple[int, ...]


def mend_catalogue(folder: Path) -> Mended:
    """Mend the catalogue of ``folder``; for the holder of the write lock.

    One that cannot be read throughout is copied as far as it can be read, and kept beside the
    copy. A document that is not as it was stored keeps its text; it loses its passages unless
    they are whole, and its source is marked as incomplete, so that the next run reads its file
    again. What is sound is left as it is. Brings an older schema to the newest. Raises
    ``IndexMismatchError`` when not even what made the index can be read.
    """
    path = folder / CATALOGUE_NAME
    done: tuple[str, ...] = ()
    with explained(path):
        if not _is_whole(path):
            done = (salvage(folder),)
        try:
            mended = _mend_in_place(folder)
        except sqlite3.DatabaseError as error:
            if done or not is_damage(error):
                raise
            # What SQLite itself cannot delete or write to, such as an inverted index in ruins.
            done = (salvage(folder),)
            mended = _mend_in_place(folder)
    return Mended(done + mended.done, mended.bare)


def embed_bare(folder: Path, keys: Sequence[int], split: Splitter, encode: PassageEncoder) -> int:
    """Cut and embed documents anew from their stored texts; how many passages were encoded.

    For the holder of the write lock, with what ``mend_catalogue`` found. Passages whose vectors
    were sound keep them. Each batch is committed: a kill loses no more than one.
    """
    path, encoded = folder / CATALOGUE_NAME, 0
    with explained(path), closing(connect_for_writing(path)) as connection:
        filler = _Filler(connection, split, encode)
        for key in keys:
            encoded += filler.fill(key)
    return encoded


def discard_vectors(folder: Path) -> None:
    """Remove ``vectors.faiss``; the next one to close the index as its writer derives it anew."""
    VectorFile(folder).discard()


def _is_whole(path: Path) -> bool:
    try:
        with closing(connect_for_reading(path)) as connection:
            return not complaints_about(connection)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return False


# -- a catalogue that can be read throughout -------------------------------------------------


def _mend_in_place(folder: Path) -> Mended:
    connection = connect_for_writing(folder / CATALOGUE_NAME)
    connection.text_factory = lenient_text
    with closing(Catalogue(connection)) as catalogue:
        manifest = readable_manifest(connection)
        if manifest is None:
            raise IndexMismatchError(
                f"the index in {folder} does not say what made it, and cannot be used without",
                BEYOND_REPAIR,
            )
        mender = _Mender(folder, connection, manifest)
        with catalogue.changing():
            mended = mender.mend()
            if mended.done:
                catalogue.touch()
        if mended.done:
            catalogue.commit()
    return mended


class _Mender:
    """Puts right, inside one transaction, what one catalogue holds."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, manifest: Manifest) -> None:
        self._folder = folder
        self._connection = connection
        self._manifest = manifest
        self._dimension = manifest.fingerprint.dimension

    def mend(self) -> Mended:
        done = []
        orphans = self._remove_orphans()
        if orphans:
            done.append(f"removed {counted(orphans, 'row')} that belonged to nothing")
        sources = self._mend_sources()
        if sources:
            done.append(f"marked {counted(sources, 'file')} to be read again")
        kept = self._drop_kept_vectors()
        if kept:
            done.append(f"dropped {counted(kept, 'damaged vector')} of a file in work")
        documents, bare = self._mend_documents()
        if documents:
            done.append(f"put {counted(documents, 'document')} right")
        if orphans or documents or words_flaw(self._connection):
            index_words_anew(self._connection)
            done.append("indexed the words anew")
        return Mended(tuple(done), tuple(bare))

    def _remove_orphans(self) -> int:
        removed = {
            table: self._connection.execute(
                f"DELETE FROM {table} WHERE {key} NOT IN (SELECT {key} FROM {parent})"
            ).rowcount
            for table, parent, key in (
                ("documents", "sources", "source_id"),
                ("passages", "documents", "document_key"),
                ("vectors", "passages", "passage_id"),
            )
        }
        if removed["passages"]:  # their document is lost, and any source may have had it
            self._connection.execute("UPDATE sources SET content_hash = ?", (INCOMPLETE,))
        return sum(removed.values())

    def _mend_sources(self) -> int:
        keys = flawed_sources(self._connection)
        for key in keys:
            row = self._connection.execute(
                f"SELECT {SOURCE_COLUMNS} FROM sources WHERE source_id = ?", (key,)
            ).fetchone()
            source, _ = source_from_row(row)
            path = source.path or f"file {key}"
            self._connection.execute(
                "UPDATE sources SET path = ?, content_hash = ?, size = ?, modified_ns = ?,"
                " settings = ? WHERE source_id = ?",
                (
                    to_sql(path),
                    INCOMPLETE,
                    source.size,
                    source.modified_ns,
                    to_sql(source.settings),
                    key,
                ),
            )
        return len(keys)

    def _drop_kept_vectors(self) -> int:
        flawed = flawed_kept_vectors(self._connection, self._dimension)
        self._connection.executemany(
            "DELETE FROM kept_vectors WHERE text_hash IS ?", [(one,) for one in flawed]
        )
        return len(flawed)

    def _mend_documents(self) -> tuple[int, list[int]]:
        """Number of documents put right, and keys of those that have to be embedded anew."""
        seen = look_at_vectors(self._folder, self._connection, self._manifest)
        flawed, bare = 0, []
        for key in document_keys(self._connection):
            found = examined_document(self._connection, key, self._dimension, seen.differing)
            if found.is_flawed:
                flawed += 1
                self._put_right(key, found)
            if found.is_bare:
                bare.append(key)
        return flawed, bare

    def _put_right(self, key: int, found: Examined) -> None:
        assignments = " = ?, ".join(DOCUMENT_VALUE_COLUMNS.split(", ")) + " = ?"
        self._connection.execute(
            f"UPDATE documents SET {assignments} WHERE document_key = ?",
            (*document_values(found.document), key),
        )
        if not found.passages:
            self._connection.execute("DELETE FROM passages WHERE document_key = ?", (key,))
        self._connection.executemany(
            "INSERT OR REPLACE INTO kept_vectors VALUES (?, ?)", found.kept.items()
        )
        self._connection.execute(
            "UPDATE sources SET content_hash = ? WHERE source_id ="
            " (SELECT source_id FROM documents WHERE document_key = ?)",
            (INCOMPLETE, key),
        )


# -- documents without their passages --------------------------------------------------------


class _Filler:
    """Gives documents their passages back."""

    def __init__(
        self, connection: sqlite3.Connection, split: Splitter, encode: PassageEncoder
    ) -> None:
        self._connection = connection
        self._catalogue = Catalogue(connection)
        self._split = split
        self._encode = encode
        manifest = self._catalogue.manifest()
        self._dimension = 0 if manifest is None else manifest.fingerprint.dimension

    def fill(self, key: int) -> int:
        """Put the passages of a document in place; the number of those that were encoded."""
        document = self._catalogue.contents.document(key)
        passages = self._split(document)
        texts = [text_hash(document.title, p.heading, p.text) for p in passages]
        missing = {
            of_text: (document, passage)
            for of_text, passage in zip(texts, passages, strict=True)
            if not is_unit(self._catalogue.vector_of_text(of_text), self._dimension)
        }
        self._keep_encoded(missing)
        with self._catalogue.changing():
            for of_text, passage in zip(texts, passages, strict=True):
                vector = self._catalogue.vector_of_text(of_text) or b""
                self._catalogue.add_passage(key, document.title, passage, vector)
            self._connection.executemany(
                "DELETE FROM kept_vectors WHERE text_hash = ?", [(of_text,) for of_text in texts]
            )
            self._connection.execute(
                "UPDATE documents SET content_hash = ? WHERE document_key = ?",
                (document.content_hash.removeprefix(BARE_MARK), key),
            )
        self._catalogue.commit()
        return len(missing)

    def _keep_encoded(self, missing: dict[bytes, tuple[Document, Passage]]) -> None:
        """Encode passages batch by batch, and keep the vectors until their document is whole."""
        waiting = list(missing)
        for start in range(0, len(waiting), BATCH_PASSAGES):
            batch = waiting[start : start + BATCH_PASSAGES]
            vectors = self._encode([missing[of_text] for of_text in batch]).astype("<f4")
            with self._catalogue.changing():
                for of_text, vector in zip(batch, vectors, strict=True):
                    self._catalogue.keep_vector(of_text, vector.tobytes())
            self._catalogue.commit()
