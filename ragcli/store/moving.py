"""An index as one file, checked by its hash: to carry it to another folder or machine.

The file is a ZIP archive of the catalogue and a description; vectors.faiss is derived from the
catalogue where it arrives.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO

from ragcli.errors import IndexMismatchError, IndexMissingError, RagcliError
from ragcli.store.catalogue import Catalogue
from ragcli.store.connection import connect_for_writing, explained
from ragcli.store.locate import CATALOGUE_NAME, holds_index
from ragcli.store.rebuilding import replace_catalogue
from ragcli.store.schema import MIGRATIONS, check_schema, migrate

IMPORTED_NAME = "imported.sqlite"
_DESCRIPTION_NAME = "index.json"
_FORMAT = "ragcli index"
_FORMAT_VERSION = 1
_BLOCK_BYTES = 1 << 20
_MOST_DESCRIPTION_BYTES = 1 << 16
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # no time stamps: the same index gives the same file


def export_catalogue(folder: Path, file: Path) -> int:
    """Write the last commit of the index in ``folder`` to ``file``; its size in bytes.

    Raises ``IndexMissingError`` when there is no index, ``RagcliError`` when it cannot be written.
    """
    path = folder / CATALOGUE_NAME
    Catalogue.for_reading(path).close()  # refuses what is no catalogue
    marked = uuid.uuid4().hex
    copied = file.with_name(f".{file.name}.{marked}.sqlite")
    partial = file.with_name(f".{file.name}.{marked}.tmp")
    try:
        with explained(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("VACUUM INTO ?", (str(copied),))
        _pack(copied, partial)
        partial.replace(file)
    except OSError as error:
        raise RagcliError(
            f"cannot write {file}: {error.strerror or error}", "choose another place for it"
        ) from error
    finally:
        for left in (copied, partial):
            with suppress(OSError):
                left.unlink(missing_ok=True)
    return file.stat().st_size


def import_catalogue(file: Path, folder: Path, *, replace: bool) -> None:
    """Make what ``export_catalogue`` wrote the index of ``folder``; for the lock's holder.

    Raises ``IndexMismatchError`` for a file that is none, is damaged or from a newer version, and
    when ``folder`` holds an index that is not to be replaced.
    """
    if holds_index(folder) and not replace:
        raise IndexMismatchError(
            f"there is an index in {folder} already",
            "choose another folder with --index, or replace it with --replace",
        )
    arrived = folder / IMPORTED_NAME
    try:
        with _opened(file) as (catalogue, description):
            _unpack(catalogue, arrived, description)
        _check_arrived(arrived, file)
        replace_catalogue(arrived, folder)
    finally:
        for companion in ("", "-wal", "-shm", "-journal"):
            arrived.with_name(f"{arrived.name}{companion}").unlink(missing_ok=True)


def _pack(catalogue: Path, partial: Path) -> None:
    description = {
        "format": _FORMAT,
        "version": _FORMAT_VERSION,
        "schema": len(MIGRATIONS),
        "bytes": catalogue.stat().st_size,
        "sha256": _sha256(catalogue),
    }
    with (
        partial.open("wb") as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        # The description first: what opens the file knows at once what it is.
        archive.writestr(zipfile.ZipInfo(_DESCRIPTION_NAME, _EARLIEST), json.dumps(description))
        member = zipfile.ZipInfo(CATALOGUE_NAME, _EARLIEST)
        member.compress_type = zipfile.ZIP_DEFLATED
        with catalogue.open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
            while block := source.read(_BLOCK_BYTES):
                target.write(block)
        archive.close()
        stream.flush()
        os.fsync(stream.fileno())


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _opened(file: Path) -> Iterator[tuple[IO[bytes], dict[str, object]]]:
    """The catalogue in ``file`` as a stream, and its description."""
    try:
        with zipfile.ZipFile(file) as archive:
            description = _description(archive)
            with archive.open(CATALOGUE_NAME) as catalogue:
                yield catalogue, description
    except FileNotFoundError as error:
        raise IndexMissingError(f"no file {file}", 'make one with "ragcli export FILE"') from error
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError) as error:
        raise _no_export(file) from error
    except OSError as error:
        raise RagcliError(f"cannot import {file}: {error.strerror or error}") from error


def _description(archive: zipfile.ZipFile) -> dict[str, object]:
    with archive.open(_DESCRIPTION_NAME) as stream:
        description = json.loads(stream.read(_MOST_DESCRIPTION_BYTES))
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise ValueError("another format")
    if description.get("version") != _FORMAT_VERSION or not (
        isinstance(description.get("schema"), int) and description["schema"] <= len(MIGRATIONS)
    ):
        raise IndexMismatchError(
            f"it was exported by a newer ragcli: schema {description.get('schema')}, this one knows"
            f" schemas up to {len(MIGRATIONS)}",
            "use the ragcli version that exported it, or a newer one",
        )
    return description


def _unpack(catalogue: IO[bytes], arrived: Path, description: dict[str, object]) -> None:
    """Write the catalogue to ``arrived``, no more than is said to be there; check its hash."""
    left, digest = description.get("bytes"), hashlib.sha256()
    if not isinstance(left, int):
        raise ValueError("no size")
    with arrived.open("wb") as target:
        while block := catalogue.read(_BLOCK_BYTES):
            left -= len(block)
            if left < 0:
                break
            target.write(block)
            digest.update(block)
    if left != 0 or digest.hexdigest() != description.get("sha256"):
        raise ValueError("another hash")


def _check_arrived(arrived: Path, file: Path) -> None:
    """Bring the catalogue to the newest schema; it must be ours down to the last table.

    A database can hold triggers and views, which are programs: none but ours are let in.
    """
    with explained(arrived), closing(connect_for_writing(arrived)) as connection:
        check_schema(connection)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
            migrate(fresh)
            if _tables(connection) != _tables(fresh):
                raise _no_export(file)


def _tables(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
    return {(kind, name, " ".join((sql or "").split())) for kind, name, sql in rows}


def _no_export(file: Path) -> IndexMismatchError:
    return IndexMismatchError(
        f"{file} is damaged or was not written by ragcli export",
        "export the index again, or copy the file again",
    )
