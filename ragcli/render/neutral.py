"""Text of documents and file names as data: no character of it can steer a terminal."""

from __future__ import annotations

_REPLACEMENT = 0xFFFD
_BIDIRECTIONAL = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Marks that reorder what a reader sees (CVE-2021-42574)."""

_NEUTRAL: dict[int, int] = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), _REPLACEMENT),
    **dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT),
    **dict.fromkeys(_BIDIRECTIONAL, _REPLACEMENT),
    0x2028: _REPLACEMENT,
    0x2029: _REPLACEMENT,
}
_NEUTRAL_BLOCK = {
    **{code: mark for code, mark in _NEUTRAL.items() if code not in (0x09, 0x0A)},
    0x0D: 0x20,
    0x0C: 0x20,
}


def printable(text: str) -> str:
    """Replace control characters, bidirectional marks and lone surrogates one for one.

    Made for file names, headings and messages: the result is one line.
    """
    return text.translate(_NEUTRAL)


def printable_block(text: str) -> str:
    """Do the same for text of several lines: line breaks and tabs stay, so do all offsets."""
    return text.translate(_NEUTRAL_BLOCK)
