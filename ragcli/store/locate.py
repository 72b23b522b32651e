"""Where an index lies, and how the paths of its sources are written down."""

from __future__ import annotations

import os
from collections.abc import Callable
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
    return stored_paths(folder)(os.path.abspath(file))


def stored_paths(folder: Path) -> Callable[[str], str]:
    """``stored_path`` for the index in ``folder``, of many normalised absolute paths."""
    base = os.path.dirname(os.path.abspath(folder))  # noqa: PTH120
    beneath = base if base.endswith(os.sep) else base + os.sep

    def stored(path: str) -> str:
        short = path[len(beneath) :] if path.startswith(beneath) else path
        return short.replace("\\", "/") if os.sep == "\\" else short

    return stored


def absolute_path(stored: str, folder: Path) -> Path:
    """The file that the index in ``folder`` wrote down as ``stored``."""
    return Path(os.path.abspath(folder)).parent / stored
