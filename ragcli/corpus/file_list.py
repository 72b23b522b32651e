"""A list of files and folders to read, as ``find``, ``git ls-files`` or ``rg --files`` print it."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ragcli.errors import InputError


def read_file_list(stream: BinaryIO, nul: bool) -> Iterator[Path]:
    """Yield the paths of a list, one a line, or with ``nul`` each ended by a NUL byte.

    Paths are as they are written: a relative one is meant from the current folder, and bytes that
    are not UTF-8 stay, so that the walk can tell of them. Empty entries are passed over. A folder
    is a path like any other, to be walked. Raises ``InputError`` for a NUL byte in a line.
    """
    for entry in _between_nuls(stream) if nul else _lines(stream):
        if entry:
            yield Path(os.fsdecode(entry))


def _between_nuls(stream: BinaryIO) -> Iterator[bytes]:
    yield from stream.read().split(b"\0")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines without their ends, also those of Windows, and without a byte order mark."""
    for number, line in enumerate(stream, 1):
        if b"\0" in line:
            raise InputError(
                f"line {number} of the list of files has a NUL byte",
                "with -0 the names of the list are ended by NUL bytes",
            )
        entry = line.removesuffix(b"\n").removesuffix(b"\r")
        yield entry.removeprefix(codecs.BOM_UTF8) if number == 1 else entry
