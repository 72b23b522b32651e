"""What lies in an index folder beside the index, and what the folder allows."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ragcli.store.checking import NOTE, REPAIR, SOUND, Finding
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.lock import HOLDER_NAME, WriteLock
from ragcli.store.moving import IMPORTED_NAME
from ragcli.store.rebuilding import unfinished_rebuild
from ragcli.store.salvaging import SALVAGED_NAME, kept_damaged
from ragcli.store.vectors.file import FILE_NAME

SQLITE_VERSION = sqlite3.sqlite_version

_LEFT_BY_KILLED_RUNS = (
    f"{FILE_NAME}.*.tmp",
    f"{IMPORTED_NAME}*",
    f"{SALVAGED_NAME}*",
    f"{Path(HOLDER_NAME).stem}.tmp",
)
_MEGABYTE, _GIGABYTE = 1e6, 1e9


def check_surroundings(folder: Path) -> Iterator[Finding]:
    """Check for what killed runs left, the write lock, permissions and free space.

    None of it is damage. Changes nothing.
    """
    yield from _check_rebuild(folder)
    yield from _check_kept(folder)
    yield _check_lock(folder)
    yield _check_permissions(folder)
    yield _check_space(folder)


def folder_bytes(folder: Path) -> int:
    """How many bytes the files of the folder take."""
    return sum(_bytes(file) for file in folder.iterdir())


def remove_leftovers(folder: Path) -> int:
    """Remove what killed runs left half-written; for the holder of the write lock. How many."""
    removed = 0
    for file in _leftovers(folder):
        with suppress(OSError):
            file.unlink()
            removed += 1
    return removed


def _leftovers(folder: Path) -> list[Path]:
    return sorted({file for name in _LEFT_BY_KILLED_RUNS for file in folder.glob(name)})


def _check_rebuild(folder: Path) -> Iterator[Finding]:
    if unfinished_rebuild(folder):
        told = "one was begun and is not finished; searches use the index as it was"
        remedy = 'run "ragcli index --rebuild" again to go on, or "ragcli compact" to drop it'
        yield Finding("rebuild", NOTE, told, remedy)


def _check_kept(folder: Path) -> Iterator[Finding]:
    leftovers, damaged = _leftovers(folder), kept_damaged(folder)
    if leftovers:
        told = f"{_size(sum(map(_bytes, leftovers)))} of a run that was killed, or is at work"
        yield Finding("leftovers", NOTE, told, REPAIR)
    if damaged:
        names = ", ".join(file.name for file in damaged)
        told = (
            f"a repair kept the catalogue as it was: {names} ({_size(sum(map(_bytes, damaged)))})"
        )
        yield Finding("leftovers", NOTE, told, "remove it when nothing is missing")


def _check_lock(folder: Path) -> Finding:
    if not (folder / HOLDER_NAME).exists():
        return Finding("lock", SOUND, "nobody is writing")
    lock = WriteLock(folder)
    try:
        is_free = lock.is_free()
    except OSError as error:
        return Finding("lock", NOTE, f"cannot be tried: {error.strerror or error}")
    holder = lock.describe_holder()
    if is_free:
        return Finding("lock", NOTE, f"{holder} ended without a word; it holds no lock", REPAIR)
    return Finding("lock", NOTE, f"is being written by {holder}")


def _check_permissions(folder: Path) -> Finding:
    is_writable = os.access(folder, os.W_OK | os.X_OK) and os.access(
        folder / CATALOGUE_NAME, os.W_OK
    )
    if is_writable:
        return Finding("folder", SOUND, "can be read and written")
    return Finding("folder", NOTE, "can be searched, but not written")


def _check_space(folder: Path) -> Finding:
    taken, free = folder_bytes(folder), shutil.disk_usage(folder).free
    told = f"{_size(free)} are free, the index takes {_size(taken)}"
    if free < taken:
        remedy = "rebuilding and compacting take as much as the index does"
        return Finding("space", NOTE, told, remedy)
    return Finding("space", SOUND, told)


def _size(n_bytes: int) -> str:
    large = n_bytes >= _GIGABYTE
    return f"{n_bytes / (_GIGABYTE if large else _MEGABYTE):.1f} {'GB' if large else 'MB'}"


def _bytes(file: Path) -> int:
    with suppress(OSError):  # files of a run at work come and go
        return file.stat().st_size
    return 0
