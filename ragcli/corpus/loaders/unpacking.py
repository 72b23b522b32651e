"""How much a compressed file may grow to while it is unpacked: a bomb is refused, not stored."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Protocol

from ragcli.errors import LoadError

MOST_UNPACKED_BYTES = 1 << 30
MOST_GROWTH = 200
"""Times that a file may grow, which text does not: it shrinks to a quarter, logs to a tenth."""

FREE_BYTES = 1 << 26
"""So much may come of a file of any size, for it does no harm."""

_BLOCK_BYTES = 1 << 16


_ENCRYPTED = 0x1
_BOUNDED_METHODS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))


def is_encrypted(info: zipfile.ZipInfo) -> bool:
    """Whether a member of a zip file needs a password."""
    return bool(info.flag_bits & _ENCRYPTED)


def is_bounded(info: zipfile.ZipInfo) -> bool:
    """Whether a member is packed in a way of which ``zipfile`` unpacks no more than is asked for.

    Of the others it unpacks a block at once, which may stand for thousands of times as much.
    """
    return info.compress_type in _BOUNDED_METHODS


class Readable(Protocol):
    """A stream of bytes, of which no more are made than are asked for."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end."""


class Allowance:
    """Counts what comes of ``packed`` bytes; raises ``LoadError`` when that is more than ``most``.

    And when it is more than ``FREE_BYTES`` and ``MOST_GROWTH`` times as much as was packed.
    """

    def __init__(self, packed: int, most: int = MOST_UNPACKED_BYTES) -> None:
        self._most = min(most, max(FREE_BYTES, MOST_GROWTH * packed))
        self._used = 0

    def use(self, size: int) -> None:
        """Count ``size`` bytes more."""
        self._used += size
        self.check(0)

    def check(self, size: int) -> None:
        """Ask whether ``size`` bytes more would be within the allowance."""
        if self._used + size > self._most:
            raise LoadError(f"unpacks to more than {self._most:,} bytes")

    def blocks(self, stream: Readable) -> Iterator[bytes]:
        """What is left of ``stream``, counted as it is read."""
        while block := stream.read(_BLOCK_BYTES):
            self.use(len(block))
            yield block
