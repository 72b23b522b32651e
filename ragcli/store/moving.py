"""An index as one file, checked by its hash: to carry it to another folder or machine.

The file is a ZIP archive of the catalogue and a description; ``vectors.faiss`` is derived from the
catalogue where it arrives.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import sqlite3
import struct
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ragcli.errors import IndexMismatchError, InputError, RagcliError
from ragcli.store.catalogue import Catalogue
from ragcli.store.checking import complaints_about, readable_manifest
from ragcli.store.connection import (
    PAGE_BYTES,
    connect_for_reading,
    connect_for_writing,
    explained,
    is_damage,
)
from ragcli.store.locate import CATALOGUE_NAME
from ragcli.store.rebuilding import remove_rebuild
from ragcli.store.salvaging import overwrite_catalogue, unlink_database
from ragcli.store.schema import MIGRATIONS, check_schema, migrate
from ragcli.store.vectors.file import VectorFile

IMPORTED_NAME = "imported.sqlite"

_DESCRIPTION_NAME = "index.json"
_FORMAT = "ragcli index"
_FORMAT_VERSION = 1
_BLOCK_BYTES = 1 << 20
_MOST_DESCRIPTION_BYTES = 1 << 16
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # no time stamps: the same index gives the same file
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_IS_ENCRYPTED = 1
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What the ZIP and JSON readers raise on damaged files."""


@dataclass(frozen=True, slots=True)
class _Description:
    """What a file says of the catalogue in it."""

    n_bytes: int
    sha256: str


# -- writing -------------------------------------------------------------------------------------


def export_catalogue(folder: Path, file: Path) -> int:
    """Write the last commit of the index in ``folder`` to ``file``; its size in bytes.

    Raises ``IndexMissingError`` when there is no index, ``IndexMismatchError`` when it is damaged
    or of another schema, and ``RagcliError`` when the file cannot be written. A file that is there
    is replaced in one step.
    """
    path = folder / CATALOGUE_NAME
    Catalogue.for_reading(path).close()  # refuses what is no catalogue
    marked = uuid.uuid4().hex
    copied = file.with_name(f".{file.name}.{marked}.sqlite")
    partial = file.with_name(f".{file.name}.{marked}.tmp")
    try:
        with partial.open("xb") as stream:  # what cannot be written is known before the work
            _copy_without_gaps(path, copied, file)
            _pack(copied, stream)
        partial.replace(file)
        return file.stat().st_size
    except OSError as error:
        raise _cannot_write(file, str(error.strerror or error)) from error
    finally:
        for left in (copied, copied.with_name(f"{copied.name}-journal"), partial):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def _copy_without_gaps(path: Path, copied: Path, file: Path) -> None:
    try:
        with explained(path), closing(connect_for_reading(path)) as connection:
            connection.execute("COMMIT")  # no VACUUM inside a transaction
            connection.execute("PRAGMA query_only = OFF")
            connection.execute("VACUUM INTO ?", (str(copied),))
    except RagcliError as error:
        cause = error.__cause__
        if isinstance(cause, sqlite3.DatabaseError) and not is_damage(cause):
            raise _cannot_write(file, str(cause)) from cause
        raise


def _cannot_write(file: Path, reason: str) -> RagcliError:
    return InputError(f"cannot write {file}: {reason}", "choose another place for it")


def _pack(catalogue: Path, stream: IO[bytes]) -> None:
    description = {
        "format": _FORMAT,
        "version": _FORMAT_VERSION,
        "schema": len(MIGRATIONS),
        "bytes": catalogue.stat().st_size,
        "sha256": _sha256(catalogue),
    }
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        # The description first: what opens the file knows at once what it is.
        archive.writestr(zipfile.ZipInfo(_DESCRIPTION_NAME, _EARLIEST), json.dumps(description))
        member = zipfile.ZipInfo(CATALOGUE_NAME, _EARLIEST)
        member.compress_type = zipfile.ZIP_DEFLATED
        with catalogue.open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
            shutil.copyfileobj(source, target, _BLOCK_BYTES)
    stream.flush()
    os.fsync(stream.fileno())


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


# -- reading -------------------------------------------------------------------------------------


def check_export(file: Path) -> None:
    """Raise as ``import_catalogue`` does for a file that does not say that it is an index."""
    with _opened(file):
        pass


def import_catalogue(file: Path, folder: Path, *, replace: bool) -> None:
    """Make what ``export_catalogue`` wrote the index of ``folder``; for the lock's holder.

    Readers go on with what they see. Raises ``InputError`` for a file that is damaged or none of
    ours, ``IndexMismatchError`` for one from a newer version and when ``folder`` holds an index
    that is not to be replaced. The folder is then as it was.
    """
    if not replace and Catalogue.is_begun(folder / CATALOGUE_NAME):
        raise IndexMismatchError(
            f"there is an index in {folder} already",
            "choose another folder with --index, or replace it with --replace",
        )
    arrived = folder / IMPORTED_NAME
    unlink_database(arrived)
    try:
        with _opened(file) as (catalogue, description):
            _unpack(catalogue, arrived, description)
        with explained(arrived):
            _settle(arrived, file, folder)
            overwrite_catalogue(arrived, folder)
    finally:
        unlink_database(arrived)
    remove_rebuild(folder)


@contextmanager
def _opened(file: Path) -> Iterator[tuple[IO[bytes], _Description]]:
    """The catalogue in ``file`` as a stream, and its description."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {member.filename: member for member in archive.infolist()}
            for name in (_DESCRIPTION_NAME, CATALOGUE_NAME):
                member = members[name]
                if member.compress_type not in _METHODS or member.flag_bits & _IS_ENCRYPTED:
                    raise ValueError("packed in another way")
            with archive.open(members[_DESCRIPTION_NAME]) as stream:
                description = _description(stream.read(_MOST_DESCRIPTION_BYTES))
            if members[CATALOGUE_NAME].file_size != description.n_bytes:
                raise ValueError("another size")
            with archive.open(members[CATALOGUE_NAME]) as catalogue:
                yield catalogue, description
    except FileNotFoundError as error:
        raise InputError(f"no file {file}", 'make one with "ragcli export FILE"') from error
    except _UNREADABLE as error:
        raise _no_export(file) from error
    except OSError as error:
        raise InputError(f"cannot import {file}: {error.strerror or error}") from error


def _description(content: bytes) -> _Description:
    values = json.loads(content)
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise ValueError("another format")
    version, schema = values.get("version"), values.get("schema")
    n_bytes, sha256 = values.get("bytes"), values.get("sha256")
    if not (isinstance(version, int) and isinstance(schema, int)):
        raise ValueError("no version")
    if version > _FORMAT_VERSION or schema > len(MIGRATIONS):
        raise IndexMismatchError(
            f"it was exported by a newer ragcli: format {version} with schema {schema}, this one"
            f" reads format {_FORMAT_VERSION} with schemas up to {len(MIGRATIONS)}",
            "use the ragcli version that exported it, or a newer one",
        )
    if not (isinstance(n_bytes, int) and isinstance(sha256, str)):
        raise ValueError("no size or hash")
    return _Description(n_bytes, sha256)


def _unpack(catalogue: IO[bytes], arrived: Path, description: _Description) -> None:
    """Write the catalogue to ``arrived``, no more than is said to be there; check its hash."""
    left, digest = description.n_bytes, hashlib.sha256()
    free = shutil.disk_usage(arrived.parent).free
    if left > free:
        raise RagcliError(
            f"the index takes {left} bytes, and {arrived.parent} has room for {free}",
            "make room, or choose another folder with --index",
        )
    with arrived.open("wb") as target:
        while left >= 0 and (block := catalogue.read(_BLOCK_BYTES)):
            left -= len(block)
            target.write(block[: max(0, len(block) + min(left, 0))])
            digest.update(block)
    if left != 0 or digest.hexdigest() != description.sha256:
        raise ValueError("another hash")


def _settle(arrived: Path, file: Path, folder: Path) -> None:
    """Bring what arrived to the newest schema, once it is seen to be a catalogue of ours.

    A database can hold triggers and views, which are programs: none but ours are let in.
    """
    try:
        with closing(sqlite3.connect(arrived, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            version = check_schema(connection)
            is_ours = (
                version > 0
                and _tables(connection) == _tables_of_schema(version)
                and connection.execute("PRAGMA page_size").fetchone() == (PAGE_BYTES,)
                and not complaints_about(connection)
            )
        if not is_ours:
            raise _no_export(file)
        with closing(connect_for_writing(arrived)) as connection:
            if readable_manifest(connection) is None:
                raise _no_export(file)
            _tell_from_the_one_before(connection, folder)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise _no_export(file) from error


def _tell_from_the_one_before(connection: sqlite3.Connection, folder: Path) -> None:
    """Give a state of the very index that the folder holds a lineage of its own.

    The two may have gone apart since, and vectors of one would be taken for those of the other.
    """
    manifest = Catalogue(connection).manifest()
    if manifest is not None and manifest.lineage in _lineages(folder):
        connection.execute("UPDATE manifest SET lineage = ?", (uuid.uuid4().hex,))


def _lineages(folder: Path) -> set[uuid.UUID]:
    """What the catalogue and the vectors of the folder are of."""
    found = set()
    footer = VectorFile(folder).footer()
    if footer is not None:
        found.add(footer.lineage)
    path = folder / CATALOGUE_NAME
    if path.exists():
        with suppress(sqlite3.DatabaseError), closing(connect_for_reading(path)) as connection:
            manifest = readable_manifest(connection)
            if manifest is not None:
                found.add(manifest.lineage)
    return found


def _tables_of_schema(version: int) -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, MIGRATIONS[:version])
        return _tables(fresh)


def _tables(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
    return {(kind, name, " ".join((sql or "").split())) for kind, name, sql in rows}


def _no_export(file: Path) -> InputError:
    return InputError(
        f"{file} is damaged or was not written by ragcli export",
        "export the index again, or copy the file again",
    )
