"""Whether a file that has the suffix of a text holds one."""

from __future__ import annotations

import codecs
from pathlib import Path

_SNIFFED_BYTES = 8192
_WIDE_MARKS = (
    codecs.BOM_UTF16_LE,  # with which that of UTF-32 begins
    codecs.BOM_UTF16_BE,
    codecs.BOM_UTF32_BE,
)


def looks_binary(path: Path | str) -> bool:
    """Whether there is a NUL in the first 8 KiB of a file not marked as UTF-16 or UTF-32.

    A file that cannot be read does not look binary: whoever loads it will say why.
    """
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(_SNIFFED_BYTES)
    except OSError:
        return False
    return b"\0" in head and not head.startswith(_WIDE_MARKS)
