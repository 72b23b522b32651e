"""Documents into passages: token-exact spans that break where a reader would pause."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from ragcli.corpus.sentences import sentence_spans
from ragcli.records import Document, Heading, Passage

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNKER_VERSION = 1
"""Rises whenever the same document and settings would be cut elsewhere."""

DEFAULT_MAX_TOKENS = 200
HEADING_GAP = " > "
_FEWEST_TOKENS = 8  # room for any one character in any byte-level vocabulary
_FEWEST_CHARACTERS = 4000
_CHARACTERS_PER_TOKEN = 16
_WINDOW_PER_TOKEN = 6  # characters; English prose has four to five
_DEEPEST_MAJOR_LEVEL = 2

_EAST_ASIAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_EAST_ASIAN_MARKS = (
    "\u3001-\u3003\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff1a\uff1b\uff1f"
)
_WORD = re.compile(rf"[{_EAST_ASIAN}][{_EAST_ASIAN_MARKS}]*|[^\s{_EAST_ASIAN}]+")
"""A run without white space; in scripts that have none, one character and its punctuation."""

_RULE = r"[ \t]*([^\w\s])\{}+[ \t]*\r?"
_HEADING_LINES = re.compile(rf"(?:{_RULE.format(1)}\n)?[^\n]*(?:\n{_RULE.format(2)}(?=\n|\Z))?\s*")
"""A heading's line with the rules of repeated signs above and below it and the blanks after."""


class Strength(IntEnum):
    """How good a place to break is."""

    WORD = 0
    LINE = 1
    SENTENCE = 2
    PARAGRAPH = 3
    HEADING = 4
    MAJOR_HEADING = 5


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far a passage may extend, as offsets into the document's text.

    ``most`` is the last possible end; ``quarter`` and ``half`` are where about that share of the
    tokens allowed is used up.
    """

    quarter: int
    half: int
    most: int


@dataclass(frozen=True, slots=True)
class Chunker:
    """Cuts documents into passages of at most ``max_tokens`` tokens of ``tokenizer``.

    Tokens are counted without special tokens, so leave room for those. Raises ``ValueError`` for
    fewer than 8 tokens and for a tokenizer that truncates or pads, whose counts would be wrong.
    """

    tokenizer: Tokenizer
    max_tokens: int = DEFAULT_MAX_TOKENS

    def __post_init__(self) -> None:
        if self.max_tokens < _FEWEST_TOKENS:
            raise ValueError(f"max_tokens is {self.max_tokens}, fewer than {_FEWEST_TOKENS}")
        if self.tokenizer.truncation is not None or self.tokenizer.padding is not None:
            raise ValueError("the chunker needs a tokenizer without truncation and padding")

    @property
    def max_characters(self) -> int:
        """Most characters of a passage, however few tokens they are.

        A word-piece vocabulary counts any amount of white space as no token and a word of any
        length beyond a hundred letters as one.
        """
        return max(_FEWEST_CHARACTERS, _CHARACTERS_PER_TOKEN * self.max_tokens)

    def count_tokens(self, text: str) -> int:
        """Number of tokens of ``text`` without special tokens."""
        return len(self.tokenizer.encode(text, add_special_tokens=False))

    def split(self, document: Document) -> list[Passage]:
        """Cut the document into passages that, joined, are its text again.

        A heading of level 1 or 2 begins a passage unless less than a quarter of the one before
        is filled; after that the preferred breaks are deeper headings, paragraphs, sentences,
        lines and words. Only a single word beyond ``max_tokens`` or ``max_characters`` is cut.
        A document of nothing but white space has no passages. Takes linear time.
        """
        if not document.text.strip():
            return []
        describe = _Describer(document)
        return [describe.passage(start, end) for start, end in self._spans(document)]

    def _spans(self, document: Document) -> Iterator[tuple[int, int]]:
        text = document.text
        breaks = _Breaks(text, document.headings)
        start, width = 0, _WINDOW_PER_TOKEN * self.max_tokens
        while start < len(text):
            end = self._end(text, start, breaks, width)
            yield start, end
            # Neighbours are about as dense in tokens: measure little more than will be used.
            width = max(self.max_tokens, (end - start) * 3 // 2)
            start = end

    def _end(self, text: str, start: int, breaks: _Breaks, width: int) -> int:
        """End of the passage that begins at ``start``; ``width`` guesses what will be measured."""
        reach = self._reach(text, start, breaks, width)
        end = breaks.choose(start, reach)
        # A prefix may have more tokens than it has inside the longer text that was measured.
        while end - start > 1 and self.count_tokens(text[start:end]) > self.max_tokens:
            reach = _Reach(reach.quarter, reach.half, end - 1)
            end = breaks.choose(start, reach)
        return end

    def _reach(self, text: str, start: int, breaks: _Breaks, width: int) -> _Reach:
        """Measure one window of text, a wider one while all of it fits."""
        limit = min(len(text), start + self.max_characters)
        while True:
            stop = min(limit, breaks.at_or_after(start + width))
            encoding = self.tokenizer.encode(text[start:stop], add_special_tokens=False)
            if len(encoding) > self.max_tokens or stop == limit:
                break
            width *= 2
        offsets = [start + begin for begin, _ in encoding.offsets]
        return _Reach(
            quarter=_nth(offsets, self.max_tokens // 4, limit),
            half=_nth(offsets, self.max_tokens // 2, limit),
            most=_past_blanks(text, _nth(offsets, self.max_tokens, limit), limit),
        )


def _nth(offsets: list[int], n: int, beyond: int) -> int:
    return offsets[n] if n < len(offsets) else beyond


def _past_blanks(text: str, offset: int, limit: int) -> int:
    while offset < limit and text[offset].isspace():
        offset += 1
    return offset


class _Breaks:
    """Every place between words, and how good a break it is."""

    def __init__(self, text: str, headings: tuple[Heading, ...]) -> None:
        words = [match.span() for match in _WORD.finditer(text)]
        # White space belongs to the word before it; a text's first blanks to its first word.
        self._first_word = words[0][0]
        self._offsets = [*(start for start, _ in words[1:]), len(text)]
        self._strengths: dict[int, Strength] = {}
        self._rate_gaps(text, words)
        self._rate_sentences(text)
        self._rate_headings(text, headings)

    def at_or_after(self, offset: int) -> int:
        """The first break from ``offset`` on, at last the text's end."""
        return self._offsets[min(bisect_left(self._offsets, offset), len(self._offsets) - 1)]

    def choose(self, start: int, reach: _Reach) -> int:
        """The best end in ``(start, reach.most]`` of the passage that begins at ``start``."""
        first = bisect_right(self._offsets, start)
        within = self._offsets[first : bisect_right(self._offsets, reach.most)]
        if not within:
            return max(start + 1, reach.most)  # inside a word too long for any passage
        early = within[bisect_left(within, reach.quarter) :]
        major = self._rated(early, Strength.MAJOR_HEADING)
        if major:
            return major[0]
        if within[-1] == self._offsets[-1]:
            return within[-1]
        late = within[bisect_left(within, reach.half) :]
        minor = self._rated(early, Strength.HEADING)
        return (minor or self._strongest(late) or self._strongest(early) or within)[-1]

    def _rated(self, offsets: list[int], strength: Strength) -> list[int]:
        return [offset for offset in offsets if self._strengths.get(offset) == strength]

    def _strongest(self, offsets: list[int]) -> list[int]:
        """The offsets of the best strength among them, none when all are plain word gaps."""
        best = max((self._strengths.get(offset, Strength.WORD) for offset in offsets), default=0)
        return self._rated(offsets, Strength(best)) if best > Strength.WORD else []

    def _rate_gaps(self, text: str, words: list[tuple[int, int]]) -> None:
        for (_, end), (start, _) in pairwise(words):
            line_ends = text.count("\n", end, start)
            if line_ends:
                self._strengths[start] = Strength.LINE if line_ends == 1 else Strength.PARAGRAPH

    def _rate_sentences(self, text: str) -> None:
        for start, _ in sentence_spans(text):
            self._raise(start, Strength.SENTENCE)

    def _rate_headings(self, text: str, headings: tuple[Heading, ...]) -> None:
        """Rate the break before every heading high and those between it and its section low."""
        body, level = 0, 0
        for heading in headings:
            start = self._section_start(heading)
            is_major = heading.level <= _DEEPEST_MAJOR_LEVEL
            if start > body or heading.level <= level:
                self._raise(start, Strength.MAJOR_HEADING if is_major else Strength.HEADING)
            body, level = self._body(text, heading), heading.level
            first = bisect_right(self._offsets, start)
            for offset in self._offsets[first : bisect_right(self._offsets, body)]:
                self._strengths.pop(offset, None)

    def _section_start(self, heading: Heading) -> int:
        return 0 if heading.start <= self._first_word else self.at_or_after(heading.start)

    def _body(self, text: str, heading: Heading) -> int:
        match = _HEADING_LINES.match(text, heading.start)
        return match.end() if match else heading.start

    def _raise(self, offset: int, strength: Strength) -> None:
        self._strengths[offset] = max(strength, self._strengths.get(offset, Strength.WORD))


class _Describer:
    """Makes passages of one document: the headings above them, their lines and pages."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._line_ends = [match.start() for match in re.finditer("\n", document.text)]
        self._heading_starts = [heading.start for heading in document.headings]
        self._heading_paths = list(_heading_paths(document.headings))

    def passage(self, start: int, end: int) -> Passage:
        """The passage ``[start, end)`` of the document."""
        text = self._document.text[start:end]
        return Passage(
            start=start,
            end=end,
            text=text,
            heading=self._heading(start + len(text) - len(text.lstrip())),
            line=self._line(start),
            page=bisect_right(self._document.page_starts, start) or None,
        )

    def _heading(self, offset: int) -> str:
        above = bisect_right(self._heading_starts, offset)
        return self._heading_paths[above - 1] if above else ""

    def _line(self, offset: int) -> int | None:
        first = self._document.first_line
        if first is None or self._document.is_record:
            return first
        return first + bisect_left(self._line_ends, offset)


def _heading_paths(headings: tuple[Heading, ...]) -> Iterator[str]:
    """For every heading, it and those that it stands under."""
    above: list[Heading] = []
    for heading in headings:
        while above and above[-1].level >= heading.level:
            above.pop()
        above.append(heading)
        yield HEADING_GAP.join(each.text for each in above)
