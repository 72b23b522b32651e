"""Opening the catalogue's database, and saying what is wrong with it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragcli.errors import IndexMismatchError, RagcliError
from ragcli.store.schema import check_schema, migrate

_BUSY_SECONDS = 10.0
_KEPT_OUT = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED: named in Python since 3.11
PAGE_BYTES = 16384  # ten 384-dimensional vectors a page; the default of 4096 wastes a quarter
_NO_TEXT = "Could not decode"
_OF_THE_CONTENT = (_NO_TEXT, "no such", "SQL logic", "vtable", "malformed", "invalid fts5", "fts5:")
_SQLITE_ERROR = 1  # SQLite's code for "SQL error": ours, not the disk's


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says about a file it cannot use into an error with a remedy.

    Broken constraints and SQL are our bugs and pass unchanged.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) == _SQLITE_ERROR:
            raise
        if str(error).startswith(_NO_TEXT):
            raise _damaged(path, error) from error
        raise RagcliError(
            f"cannot use the index in {path.parent}: {error}",
            "check the permissions and the free space of that folder",
        ) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise
        raise _damaged(path, error) from error


def _damaged(path: Path, error: sqlite3.Error) -> IndexMismatchError:
    return IndexMismatchError(
        f"{path} is damaged or no index: {error}",
        'run "ragcli doctor --repair" to save what can be read',
    )


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether SQLite complains of what is in the file, not of the disk or another process."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    code = getattr(error, "sqlite_errorcode", None)  # since Python 3.11
    return code == _SQLITE_ERROR or (code is None and str(error).startswith(_OF_THE_CONTENT))


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that sees the last commit as of now."""
    # Opened for writing where possible: the last one to close then tidies the write-ahead log
    # away, also the one that a killed writer left.
    location = path.absolute().as_uri()
    try:
        return _snapshot(f"{location}?mode=rw")
    except sqlite3.OperationalError:
        # A read-only folder has no room for SQLite's shared memory. Without a log no writer is
        # at work, and the file can be read as it stands.
        if path.with_name(f"{path.name}-wal").exists():
            raise
        return _snapshot(f"{location}?immutable=1")


def connect_for_writing(path: Path) -> sqlite3.Connection:
    """A connection to the newest schema, which is made when there is none."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        check_schema(connection)  # before anything is written to a file that is not ours
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def copy_database(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy what ``source`` sees over what ``target`` holds, in one transaction.

    Raises ``sqlite3.OperationalError`` when another process keeps ``target`` locked; by itself
    ``backup`` would try for ever.
    """
    deadline = time.monotonic() + _BUSY_SECONDS

    def give_up_at_last(status: int, remaining: int, total: int) -> None:
        if status in _KEPT_OUT and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    source.backup(target, progress=give_up_at_last)


def _snapshot(location: str) -> sqlite3.Connection:
    connection = sqlite3.connect(location, _BUSY_SECONDS, uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # fixes the snapshot
    except BaseException:
        with suppress(sqlite3.Error):
            connection.close()
        raise
    return connection
