"""reStructuredText: its characters as they are, its underlined titles as headings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.source import Source
from ragcli.records import Document, Heading

_TITLE = re.compile(
    r"(?:^(?P<over>([^\w\s])\2+)[ \t]*\r?\n)?"
    r"^(?P<title>[ \t]*\S[^\r\n]*)\r?\n"
    r"^(?P<under>([^\w\s])\5+)[ \t]*(?=\r?$)",
    re.MULTILINE,
)
"""An optional overline, a line of words, an underline; both of one repeated sign."""


def load(source: Source) -> Iterator[Document]:
    """Yield the file as one document; raises ``LoadError`` when it is not text."""
    text = read_text(source.file)
    headings = tuple(_headings(text))
    title = headings[0].text if headings else ""
    yield source.document(text, title=title, first_line=1, headings=headings)


def _headings(text: str) -> Iterator[Heading]:
    """A style of lines ranks by its first use, as docutils has it."""
    styles: dict[tuple[bool, str], int] = {}
    for match in _TITLE.finditer(text):
        over, title, under = match["over"], match["title"].strip(), match["under"]
        if len(under) < len(title) or not any(map(str.isalnum, title)):
            continue
        has_overline = over is not None and over[0] == under[0]
        level = styles.setdefault((has_overline, under[0]), len(styles) + 1)
        start = match.start() if has_overline else match.start("title")
        yield Heading(start, level, title)
