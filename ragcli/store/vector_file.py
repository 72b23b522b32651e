"""The file ``vectors.faiss``: derived from the catalogue, replaced whole, checked when read.

It is a plain FAISS file (``faiss.read_index`` reads it) with a footer of ours behind it that says
which commit of which catalogue it was made from.
"""

from __future__ import annotations

import io
import struct
import uuid
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from ragcli.store.vectors import VectorIndex, load_faiss

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "vectors.faiss"

_MAGIC = b"ragcli-v"
_FIELDS = struct.Struct("<8s16sQQ")  # magic, lineage, generation, bytes of the FAISS part
_CHECKSUM = struct.Struct("<I")  # CRC-32 of everything before it
_FOOTER_BYTES = _FIELDS.size + _CHECKSUM.size
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Footer:
    """Which commit the vectors belong to: ``lineage`` names the catalogue (a UUID)."""

    lineage: uuid.UUID
    generation: int
    body_bytes: int

    def packed(self) -> bytes:
        """The footer's fields as written, without the checksum."""
        return _FIELDS.pack(_MAGIC, self.lineage.bytes, self.generation, self.body_bytes)


class VectorFile:
    """``vectors.faiss`` of one index folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def footer(self) -> Footer | None:
        """What the file says it is, ``None`` when it is missing or not ours; its body unread."""
        try:
            with self._path.open("rb") as file:
                return _read_footer(file)
        except OSError:
            return None

    def load(self, lineage: uuid.UUID, dimension: int) -> tuple[VectorIndex, int] | None:
        """The vectors and the generation they belong to.

        ``None`` when the file is missing, torn, of another catalogue or not what ``save`` writes:
        then the vectors have to come from the catalogue.
        """
        try:
            with self._path.open("rb") as file:
                footer = _read_footer(file)
                if footer is None or footer.lineage != lineage or not _is_whole(file, footer):
                    return None
                stored = _parse(file)
        except OSError:
            return None
        usable = stored is not None and _is_flat(stored, dimension)
        return (VectorIndex(dimension, stored), footer.generation) if usable else None

    def save(self, vectors: VectorIndex, lineage: uuid.UUID, generation: int) -> bool:
        """Replace the file in one step; ``False`` when that is impossible now.

        A read-only folder, a full disk, or (on Windows) a reader that has the file open: the
        catalogue has everything, so nothing is lost and the next writer tries again.
        """
        partial = self._path.with_name(f"{FILE_NAME}.{uuid.uuid4().hex}.tmp")
        try:
            with partial.open("wb") as file:
                _write(file, vectors, lineage, generation)
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


def _write(file: BinaryIO, vectors: VectorIndex, lineage: uuid.UUID, generation: int) -> None:
    faiss = load_faiss()
    checked = _Checked(file)
    faiss.write_index(vectors.faiss_index, faiss.PyCallbackIOWriter(checked.write, _BLOCK_BYTES))
    checked.write(Footer(lineage, generation, checked.length).packed())
    file.write(_CHECKSUM.pack(checked.checksum))


def _read_footer(file: BinaryIO) -> Footer | None:
    length = file.seek(0, io.SEEK_END)
    if length < _FOOTER_BYTES:
        return None
    file.seek(length - _FOOTER_BYTES)
    magic, lineage, generation, body_bytes = _FIELDS.unpack(file.read(_FIELDS.size))
    if magic != _MAGIC or body_bytes + _FOOTER_BYTES != length:
        return None
    return Footer(uuid.UUID(bytes=lineage), generation, body_bytes)


def _is_whole(file: BinaryIO, footer: Footer) -> bool:
    """Whether the checksum holds; checked before FAISS trusts any length in the file."""
    file.seek(0)
    checksum, left = 0, footer.body_bytes + _FIELDS.size
    while left and (block := file.read(min(_BLOCK_BYTES, left))):
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
    return left == 0 and file.read(_CHECKSUM.size) == _CHECKSUM.pack(checksum)


def _parse(file: BinaryIO) -> Any:  # noqa: ANN401
    faiss = load_faiss()
    file.seek(0)
    try:
        return faiss.read_index(faiss.PyCallbackIOReader(file.read, _BLOCK_BYTES))
    except RuntimeError:  # whole, but of a kind that this FAISS cannot read
        return None


def _is_flat(stored: Any, dimension: int) -> bool:  # noqa: ANN401
    faiss = load_faiss()
    if not isinstance(stored, faiss.IndexIDMap2) or stored.d != dimension:
        return False
    return isinstance(faiss.downcast_index(stored.index), faiss.IndexFlatIP)
