"""The file of records: appended to so that a kill cannot spoil it, read line by line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from ragcli.corpus.problem import Problem
from ragcli.engine.record_format import StoredRecord, parse_record
from ragcli.errors import InputError


class RecordFile:
    """A file of JSON lines, opened for appending and made where there is none.

    A line is there, whole and on the disk, when ``append`` returns. Raises ``InputError`` for what
    cannot be written, when it is opened or by ``append``.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        is_new = not file.exists()
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise self._unwritable("it is not a regular file")
        if is_new:
            _flush_folder(file.parent)

    def append(self, line: str) -> None:
        """Add one line in a single write; a torn last line before it stays a line of its own."""
        content = f"{line}\n".encode()
        try:
            if not self._ends_with_a_line():
                content = b"\n" + content
            written = os.write(self._descriptor, content)
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        if written < len(content):
            raise self._unwritable("only a part of the line could be written: is the disk full?")

    def _ends_with_a_line(self) -> bool:
        size = os.fstat(self._descriptor).st_size
        return size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n"

    def _unwritable(self, reason: str) -> InputError:
        return InputError(
            f"cannot write the record {self._file}: {reason}", "name another file with --record"
        )

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _flush_folder(folder: Path) -> None:
    """Make a new file's name outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_records(lines: Iterable[str], name: str) -> Iterator[StoredRecord | Problem]:
    """Yield the record of each line that is not blank, in order, as soon as it is read.

    A line that is no record is a ``Problem``. ``name`` is the input's name in messages.
    """
    for number, line in enumerate(lines, start=1):
        content = line.strip().lstrip("\ufeff")
        if not content:
            continue
        try:
            yield parse_record(content, number)
        except InputError as error:
            torn = "" if line.endswith("\n") else ", perhaps torn while it was written"
            yield Problem(f"{name}:{number}", f"{error.message}{torn}")
