"""Giving back the space of what was removed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from ragcli.store.catalogue import Catalogue
from ragcli.store.connection import connect_for_writing, explained
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.rebuilding import remove_rebuild
from ragcli.store.vectors.file import VectorFile
from ragcli.store.words import optimize_words


def compact_catalogue(folder: Path) -> None:
    """Write the catalogue anew without gaps, and drop what is needed no more.

    That is an unfinished rebuild, vectors that were kept for it, and ``vectors.faiss``, which is
    derived anew when the index is closed. Each step is whole or did not happen. For the holder of
    the write lock.
    """
    remove_rebuild(folder)
    path = folder / CATALOGUE_NAME
    with explained(path), closing(connect_for_writing(path)) as connection:
        catalogue = Catalogue(connection)
        with catalogue.changing():
            catalogue.forget_kept_vectors()
            optimize_words(connection)
        catalogue.commit()
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    VectorFile(folder).remove_leftovers()
    VectorFile(folder).discard()
