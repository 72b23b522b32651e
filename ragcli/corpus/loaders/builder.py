"""Text put together from blocks, for formats whose text is not the file's own characters."""

from __future__ import annotations

from ragcli.records import Heading

PARAGRAPH_GAP = "\n\n"
LINE_GAP = "\n"


class TextBuilder:
    """Collects blocks of text and keeps the offset of every heading among them."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []

    def add(self, block: str, gap: str = PARAGRAPH_GAP) -> int:
        """Append a block after ``gap`` and return the offset at which it begins."""
        if self._parts:
            self._append(gap)
        start = self._length
        self._append(block)
        return start

    def add_heading(self, block: str, level: int) -> None:
        """Append a heading of depth ``level``, 1 = top."""
        self._headings.append(Heading(self.add(block), level, " ".join(block.split())))

    def mark_heading(self, start: int, level: int, words: str) -> None:
        """Let a section called ``words``, which is not in the text, begin at offset ``start``."""
        self._headings.append(Heading(start, level, words))

    @property
    def length(self) -> int:
        """Characters added so far."""
        return self._length

    @property
    def text(self) -> str:
        """Everything added so far."""
        return "".join(self._parts)

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The headings in order, offsets into ``text``."""
        return tuple(self._headings)

    def _append(self, part: str) -> None:
        self._parts.append(part)
        self._length += len(part)
