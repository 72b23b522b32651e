"""The file ``vectors.faiss``: derived from the catalogue, replaced whole, checked when read.

It is a plain FAISS file (``faiss.read_index`` reads it) with a footer of ours behind it that says
which commit of which catalogue it was made from, and how.
"""

from __future__ import annotations

import io
import os
import struct
import uuid
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ragcli.store.vectors.derivation import Derivation
from ragcli.store.vectors.library import FaissIndex, load_faiss

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE_NAME = "vectors.faiss"

MAPPED_BYTES = 1 << 24
"""A larger file is mapped into memory by a reader, so that only what is looked at is read."""

_MAGIC = b"ragcli-w"
# Magic, lineage, generation, highest passage id, bytes of the FAISS part, of the derivation,
# CRC-32 of the FAISS part.
_FIELDS = struct.Struct("<8s16sQqQII")
_CHECKSUM = struct.Struct("<I")  # CRC-32 of the derivation and the fields
_ENDING_BYTES = _FIELDS.size + _CHECKSUM.size
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Footer:
    """Which commit the vectors belong to, and what they are.

    ``lineage`` names the catalogue (a UUID); no passage in the file has an id above
    ``highest_id``, and every passage of that commit is in the file. Later passages have higher ids.
    """

    lineage: uuid.UUID
    generation: int
    highest_id: int
    derivation: Derivation


@dataclass(frozen=True, slots=True)
class _Layout:
    body_bytes: int
    body_checksum: int


class VectorFile:
    """``vectors.faiss`` of one index folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def footer(self) -> Footer | None:
        """What the file says it is, ``None`` when it is missing or not ours; its body unread."""
        try:
            with self._path.open("rb") as file:
                found = _read_footer(file)
        except OSError:
            return None
        return None if found is None else found[0]

    def load(
        self, usable: Callable[[Footer], bool], mapped: Callable[[Footer], bool]
    ) -> tuple[FaissIndex, Footer] | None:
        """The FAISS index and the footer, when that is ``usable``.

        A large file is not read but mapped when ``mapped`` says so of it: the index must not be
        changed then. ``None`` when the file is missing, torn, of no use or not what ``save``
        writes: then the vectors have to come from the catalogue.
        """
        try:
            with self._path.open("rb") as file:
                found = _read_footer(file)
                if found is None or not usable(found[0]):
                    return None
                footer, layout = found
                if layout.body_bytes > MAPPED_BYTES and mapped(footer):
                    index = self._map(file)
                else:
                    index = _parse(file) if _is_whole(file, layout) else None
        except OSError:
            return None
        return None if index is None else (index, footer)

    def save(self, faiss_index: FaissIndex, footer: Footer) -> bool:
        """Replace the file in one step; ``False`` when that is impossible now.

        A read-only folder, a full disk, or (on Windows) a reader that has the file open: the
        catalogue has everything, so nothing is lost and the next writer tries again.
        """
        partial = self._path.with_name(f"{FILE_NAME}.{uuid.uuid4().hex}.tmp")
        try:
            with partial.open("wb") as file:
                _write(file, faiss_index, footer)
                # A reader does not check the whole of a large file: it has to be on the disk
                # before it has its name.
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            return False
        return True

    def discard(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half-written; for the holder of the write lock."""
        for partial in self._path.parent.glob(f"{FILE_NAME}.*.tmp"):
            with suppress(OSError):
                partial.unlink()

    def _map(self, file: BinaryIO) -> FaissIndex:
        """The index of the open ``file``, mapped; read where that cannot be done."""
        faiss = load_faiss()
        index = None
        with suppress(RuntimeError):
            index = faiss.read_index(str(self._path), faiss.IO_FLAG_MMAP_IFC)
        # FAISS maps by name; a writer may have replaced the file in the meantime.
        if index is None or not os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
            return _parse(file)
        return index


class _Checked:
    """Writes to a file and keeps the length and the checksum of what it wrote."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.checksum = 0
        self.length = 0

    def write(self, block: bytes) -> int:
        self._file.write(block)
        self.checksum = zlib.crc32(block, self.checksum)
        self.length += len(block)
        return len(block)


def _write(file: BinaryIO, faiss_index: FaissIndex, footer: Footer) -> None:
    faiss = load_faiss()
    body = _Checked(file)
    faiss.write_index(faiss_index, faiss.PyCallbackIOWriter(body.write, _BLOCK_BYTES))
    derivation = footer.derivation.to_json().encode()
    ending = derivation + _FIELDS.pack(
        _MAGIC,
        footer.lineage.bytes,
        footer.generation,
        footer.highest_id,
        body.length,
        len(derivation),
        body.checksum,
    )
    file.write(ending + _CHECKSUM.pack(zlib.crc32(ending)))


def _read_footer(file: BinaryIO) -> tuple[Footer, _Layout] | None:
    length = file.seek(0, io.SEEK_END)
    if length < _ENDING_BYTES:
        return None
    file.seek(length - _ENDING_BYTES)
    fields = file.read(_FIELDS.size)
    checksum = file.read(_CHECKSUM.size)
    magic, lineage, generation, highest, body_bytes, json_bytes, body_checksum = _FIELDS.unpack(
        fields
    )
    if magic != _MAGIC or body_bytes + json_bytes + _ENDING_BYTES != length:
        return None
    file.seek(body_bytes)
    derivation = file.read(json_bytes)
    if checksum != _CHECKSUM.pack(zlib.crc32(derivation + fields)):
        return None
    try:
        made_as = Derivation.from_json(derivation)
    except (ValueError, TypeError):  # whole, but of another version
        return None
    footer = Footer(uuid.UUID(bytes=lineage), generation, highest, made_as)
    return footer, _Layout(body_bytes, body_checksum)


def _is_whole(file: BinaryIO, layout: _Layout) -> bool:
    """Whether the checksum holds; checked before FAISS trusts any length in the file."""
    file.seek(0)
    checksum, left = 0, layout.body_bytes
    while left and (block := file.read(min(_BLOCK_BYTES, left))):
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
    return left == 0 and checksum == layout.body_checksum


def _parse(file: BinaryIO) -> FaissIndex:
    faiss = load_faiss()
    file.seek(0)
    try:
        return faiss.read_index(faiss.PyCallbackIOReader(file.read, _BLOCK_BYTES))
    except RuntimeError:  # whole, but of a kind that this FAISS cannot read
        return None
