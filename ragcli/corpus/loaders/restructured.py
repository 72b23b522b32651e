"""reStructuredText: its characters as they are, its underlined titles as headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate

from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document, Heading

_RULE = re.compile(r"([^\w\s])\1+\s*")


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the file as one document; raises ``LoadError`` when it is not text."""
    decoded = read_text(source.file)
    yield from source.problems(decoded.flaw)
    text = decoded.text
    headings = tuple(_headings(text))
    title = headings[0].text if headings else ""
    yield source.document(text, title=title, first_line=1, headings=headings)


def _headings(text: str) -> Iterator[Heading]:
    """Titles with a rule of one repeated sign below, perhaps above; a style ranks by first use."""
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    levels: dict[tuple[str, bool], int] = {}
    for n in range(1, len(lines)):
        title, rule = lines[n - 1].strip(), _RULE.fullmatch(lines[n])
        if rule is None or not any(map(str.isalnum, title)) or len(lines[n].rstrip()) < len(title):
            continue
        title = " ".join(title.split())
        above = _RULE.fullmatch(lines[n - 2]) if n > 1 else None
        has_overline = above is not None and above[1] == rule[1]
        level = levels.setdefault((rule[1], has_overline), len(levels) + 1)
        yield Heading(starts[n - 2] if has_overline else starts[n - 1], level, title)
