"""Giving back the space of what was removed."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ragcli.store.catalogue import Catalogue
from ragcli.store.connection import connect_for_writing, explained
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.rebuilding import remove_rebuild
from ragcli.store.vectors.checking import look_at_vectors
from ragcli.store.vectors.file import VectorFile
from ragcli.store.words import optimize_words


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was done beside the catalogue.

    ``dropped_rebuild`` says that a rebuild was begun and is given up; ``is_shrunk`` that the
    space is free already: it is not while a reader goes on with what the catalogue was.
    """

    dropped_rebuild: bool
    is_shrunk: bool


def compact_catalogue(folder: Path) -> Compacted:
    """Write the catalogue anew without gaps, and drop what is needed no more.

    That is an unfinished rebuild, vectors that were kept for a file in work when there is none,
    and a ``vectors.faiss`` that still holds vectors of what was removed: it is derived anew when
    the index is closed. Each step is whole or did not happen. For the holder of the write lock.
    Raises as ``explained`` does when the catalogue is damaged or the disk is full.
    """
    dropped = remove_rebuild(folder)
    path = folder / CATALOGUE_NAME
    with explained(path), closing(connect_for_writing(path)) as connection:
        catalogue = Catalogue(connection)
        with catalogue.changing():
            if catalogue.keeps_needless_vectors():
                catalogue.forget_kept_vectors()
            optimize_words(connection)
        catalogue.commit()
        connection.execute("VACUUM")
        # A reader need not be waited for: whoever closes the catalogue last does the rest.
        connection.execute("PRAGMA busy_timeout = 0")
        is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        manifest = catalogue.manifest()
        if manifest is not None:
            seen = look_at_vectors(folder, connection, manifest)
            if seen.spare or seen.flaw:
                VectorFile(folder).discard()
    VectorFile(folder).remove_leftovers()
    return Compacted(dropped, not is_busy)
