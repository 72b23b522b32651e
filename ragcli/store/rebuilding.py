"""Rebuilding an index: a second catalogue beside the first, which it replaces when it is whole.

So a rebuild that is killed loses nothing of what the index held, and the next one goes on.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.errors import RagcliError
from ragcli.store.catalogue import Catalogue
from ragcli.store.connection import (
    connect_for_reading,
    connect_for_writing,
    copy_database,
    explained,
)
from ragcli.store.locate import CATALOGUE_NAME

if TYPE_CHECKING:
    from ragcli.store.manifest import IndexFingerprint

STAGED_NAME = "rebuild.sqlite"
_COMPANIONS = ("", "-wal", "-shm", "-journal")


def prepare_rebuild(folder: Path, fingerprint: IndexFingerprint) -> Path:
    """The catalogue to rebuild into: that of a killed rebuild, or a new one.

    A new one takes over the choices made for the index. For the holder of the write lock.
    """
    staged = folder / STAGED_NAME
    if not _can_go_on(staged, folder / CATALOGUE_NAME, fingerprint):
        remove_rebuild(folder)
        with closing(Catalogue.for_reading(folder / CATALOGUE_NAME)) as held:
            preferences, highest_id = held.preferences(), held.highest_id()
        with explained(staged), closing(Catalogue.for_writing(staged)) as catalogue:
            catalogue.start(fingerprint, above=highest_id)
            for name, value in preferences.items():
                catalogue.prefer(name, value)
            catalogue.commit()
    return staged


def replace_catalogue(whole: Path, folder: Path) -> None:
    """Copy what ``whole`` has committed over the catalogue of ``folder``, in one transaction.

    Readers go on with what they see, and a kill leaves the one or the other.
    """
    with (
        closing(connect_for_reading(whole)) as source,
        closing(connect_for_writing(folder / CATALOGUE_NAME)) as target,
    ):
        copy_database(source, target)


def remove_rebuild(folder: Path) -> bool:
    """Remove what a rebuild left, if anything; for the holder of the write lock."""
    found = unfinished_rebuild(folder)
    for companion in _COMPANIONS:
        (folder / f"{STAGED_NAME}{companion}").unlink(missing_ok=True)
    return found


def unfinished_rebuild(folder: Path) -> bool:
    """Whether a rebuild was begun in ``folder`` and is not finished."""
    return (folder / STAGED_NAME).exists()


def _can_go_on(staged: Path, held: Path, fingerprint: IndexFingerprint) -> bool:
    """Whether ``staged`` was begun with this fingerprint, and is not what ``held`` is already."""
    if not staged.exists():
        return False
    try:
        with closing(Catalogue.for_writing(staged)) as catalogue, explained(staged):
            begun = catalogue.manifest()
        with closing(Catalogue.for_reading(held)) as catalogue, explained(held):
            current = catalogue.manifest()
    except (RagcliError, sqlite3.Error):
        return False
    if begun is None or begun.fingerprint != fingerprint:
        return False
    return current is None or current.lineage != begun.lineage
