"""XML: the text of its elements in blocks, titles as headings, short fields with their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ragcli.corpus.loaders.builder import LINE_GAP, PARAGRAPH_GAP, TextBuilder
from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.html import DECLARATION_BYTES, declared_encoding
from ragcli.corpus.loaders.markup import MarkupError, MarkupReader, read_markup, without_tags
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document

_TITLES = frozenset(("title", "heading", *(f"h{level}" for level in range(1, 7))))
_PROSE = frozenset(
    "a b code em emphasis entry i l li line p para s seg simpara span strong td text th w".split()
)
"""Elements whose names say nothing of what is in them."""

_KEPT_AS_WRITTEN = frozenset("code literallayout pre programlisting screen verbatim".split())
_NO_NAMES = _PROSE | _KEPT_AS_WRITTEN
_LONGEST_TITLE = 300
_LONGEST_FIELD = 100
_MOST_BLANKS = 1000


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the file as one document; raises ``LoadError`` when it is not text.

    Elements within a line of text are part of it, all others are blocks. A ``title`` is a heading,
    as deep as there are titled elements around its own. An element with a few words and no other
    element reads ``name: words``. Attributes are not read. A file that is not well-formed, or that
    declares entities, is a ``Problem`` and is read without its structure, so that no word of it is
    lost; entities are never expanded.
    """
    with source.file.open("rb") as stream:
        declared = declared_encoding(stream.read(DECLARATION_BYTES))
    decoded = read_text(source.file, declared)
    yield from source.problems(decoded.flaw)
    blocks = _Blocks()
    try:
        if decoded.text.strip():
            read_markup(decoded.text, blocks)
    except MarkupError as error:
        yield from source.problems(f"not valid XML, read without its structure: {error}")
        yield source.document(without_tags(decoded.text))
        return
    headings = blocks.builder.headings
    title = next((h.text for h in headings), "")
    yield source.document(blocks.builder.text, title=title, headings=headings)


@dataclass(slots=True)
class _Element:
    """An open element; ``titled_above`` counts the elements around it that have a title."""

    name: str
    titled_above: int
    is_titled: bool = False


class _Blocks(MarkupReader):
    """Joins what reads on and breaks what does not, by the tags in between."""

    def __init__(self) -> None:
        self.builder = TextBuilder()
        self._open: list[_Element] = []
        self._run: list[str] = []
        self._blanks = ""
        self._opened = self._closed = 0  # tags since the last text
        self._group_ended = False  # before the run
        self._field = ""  # the element that the run is all of
        self._is_leaf = False
        self._title: _Element | None = None
        self._last_was_field = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else None
        above = parent.titled_above + parent.is_titled if parent else 0
        self._open.append(_Element(tag, above))
        self._opened += 1
        self._is_leaf = True
        if tag in _TITLES and self._title is None and parent is not None:
            self._flush()
            self._title = self._open[-1]

    def characters(self, text: str) -> None:
        if not text.strip():
            self._blanks = (self._blanks + text)[:_MOST_BLANKS]
            return
        if self._run and not self._reads_on(text):
            self._flush()
        if self._run:
            self._run.append(self._blanks)
        else:
            self._group_ended = self._opened > 1 and self._closed > 1
        self._run.append(text)
        if self._opened or self._closed:
            self._field = ""
        self._blanks = ""
        self._opened = self._closed = 0

    def end(self, tag: str) -> None:
        element = self._open.pop()
        self._closed += 1
        if element is self._title:
            self._flush_title()
        elif self._is_leaf and self._run and self._closed == 1 and not self._opened:
            self._field = tag
        self._is_leaf = False
        if not self._open:
            self._flush()

    def _reads_on(self, text: str) -> bool:
        """Whether ``text`` goes on with the run: no border of blocks lies between them."""
        if self._title or not (self._opened or self._closed):
            return True
        between = self._blanks + text[: len(text) - len(text.lstrip())]
        return not (self._opened and self._closed) and "\n" not in between

    def _flush_title(self) -> None:
        self._title = None
        words = " ".join("".join(self._run).split())
        if words and len(words) <= _LONGEST_TITLE:
            self._run.clear()
            parent = self._open[-1]
            parent.is_titled = True
            self.builder.add_heading(words, parent.titled_above + 1)
            self._last_was_field = False
        self._flush()

    def _flush(self) -> None:
        text, self._run = "".join(self._run), []
        self._blanks = ""
        if not text.strip():
            return
        name = self._field
        is_field = bool(name) and name not in _NO_NAMES and len(text) <= _LONGEST_FIELD
        text = text.strip("\n") if name in _KEPT_AS_WRITTEN else " ".join(text.split())
        joins = is_field and self._last_was_field and not self._group_ended
        gap = LINE_GAP if joins else PARAGRAPH_GAP
        self.builder.add(f"{name}: {text}" if is_field else text, gap)
        self._last_was_field = is_field
        self._field = ""
