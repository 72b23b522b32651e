"""The write lock of an index folder: one writer at a time, across processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ragcli.errors import IndexBusyError, RagcliError

LOCK_NAME = "write.lock"
HOLDER_NAME = "write.holder.json"


class WriteLock:
    """A lock that the operating system drops when its process dies, so it never goes stale.

    Who holds it stands in a file beside it, because a locked file cannot be read on Windows.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder = folder / HOLDER_NAME
        self._lock = FileLock(folder / LOCK_NAME, timeout=0, thread_local=False)

    def acquire(self, *, wait: bool = False) -> None:
        """Take the lock, at once or when it is free.

        Raises ``IndexBusyError`` naming the holder, unless it is to ``wait``.
        """
        try:
            self._lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            raise IndexBusyError(
                f"index {self._folder} is being written by {self.describe_holder()}",
                "wait until it has finished (--wait does that), or stop it",
            ) from None
        self._write_holder()

    def release(self) -> None:
        """Give the lock back; does nothing when it is not held."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._holder.unlink()
            self._lock.release()

    def is_free(self) -> bool:
        """Whether no process holds the lock now; raises ``OSError`` where that cannot be tried."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        self._lock.release()
        return True

    def _write_holder(self) -> None:
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        partial = self._holder.with_suffix(".tmp")
        # The lock is held with or without this file: it only makes another's error say more.
        with suppress(OSError):
            partial.write_text(json.dumps({"pid": os.getpid(), "started": started}))
            partial.replace(self._holder)

    def describe_holder(self) -> str:
        """Who wrote down that it holds the lock, in words."""
        try:
            holder = json.loads(self._holder.read_text())
            return f"process {holder['pid']} since {holder['started']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the write lock of ``folder``, which is made when there is none.

    Raises ``IndexBusyError`` while another process holds it, unless it is to ``wait``, and
    ``RagcliError`` when the folder cannot be written.
    """
    lock = acquired_lock(folder, wait=wait)
    try:
        yield
    finally:
        lock.release()


def acquired_lock(folder: Path, *, wait: bool) -> WriteLock:
    """The write lock of ``folder``, taken; raises as ``locked`` does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = WriteLock(folder)
        lock.acquire(wait=wait)
    except OSError as error:
        raise RagcliError(
            f"cannot write an index in {folder}: {error.strerror or error}",
            "choose another folder with --index",
        ) from error
    return lock
