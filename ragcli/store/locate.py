"""Where an index lies, and how the paths of its sources are written down."""

from __future__ import annotations

import os
from pathlib import Path

from ragcli.errors import IndexMissingError

DEFAULT_FOLDER = ".ragcli"
CATALOGUE_NAME = "catalogue.sqlite"


def holds_index(folder: Path) -> bool:
    """Whether ``folder`` is an index folder."""
    return (folder / CATALOGUE_NAME).is_file()


def locate_index(explicit: Path | None, start: Path) -> Path:
    """The index folder to use: ``explicit``, else ``.ragcli`` in ``start`` or a folder above it.

    Raises ``IndexMissingError`` when there is none; an explicit folder is not looked into.
    """
    if explicit is not None:
        return explicit
    here = Path(os.path.abspath(start))
    for folder in (here, *here.parents):
        if holds_index(folder / DEFAULT_FOLDER):
            return folder / DEFAULT_FOLDER
    raise IndexMissingError("no index here or above", 'run "ragcli index PATH"')


def stored_path(file: Path, folder: Path) -> str:
    """How the index in ``folder`` writes down ``file``.

    Relative to the folder that holds ``folder`` when the file lies beneath it, so that both can be
    moved together, else absolute; always with forward slashes.
    """
    absolute = Path(os.path.abspath(file))
    base = Path(os.path.abspath(folder)).parent
    return (absolute.relative_to(base) if absolute.is_relative_to(base) else absolute).as_posix()


def absolute_path(stored: str, folder: Path) -> Path:
    """The file that the index in ``folder`` wrote down as ``stored``."""
    return Path(os.path.abspath(folder)).parent / stored
