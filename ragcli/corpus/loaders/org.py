"""Org files: their characters as they are, headings by their stars, ``#+TITLE`` and the like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.metadata import iso_date
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document, Heading, Json

_HEADING = re.compile(r"^(\*+)[ \t]+(\S[^\n]*)", re.MULTILINE)
_KEYWORD = re.compile(r"^#\+(title|author|date):([^\n]*)", re.MULTILINE | re.IGNORECASE)
_STATE = re.compile(r"(?:TODO|DONE|NEXT|WAITING|CANCELLED|CANCELED)(?:\s+|$)")
_PRIORITY = re.compile(r"\[#[A-Za-z0-9]\]\s*")
_TAGS = re.compile(r"\s:[\w@#%:]{1,200}:\s*$")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the file as one document; raises ``LoadError`` when it is not text.

    Headings come without their state (``TODO``), priority and tags. Metadata are the ``author``
    and the date ``created``.
    """
    decoded = read_text(source.file)
    yield from source.problems(decoded.flaw)
    described: dict[str, str] = {}
    for keyword in _KEYWORD.finditer(decoded.text):
        described.setdefault(keyword[1].lower(), " ".join(keyword[2].split()))
    date = _DATE.search(described.get("date", ""))
    metadata: dict[str, Json] = {
        "author": described.get("author", ""),
        "created": iso_date(date[0]) if date else "",
    }
    headings = tuple(_headings(decoded.text))
    yield source.document(
        decoded.text,
        title=described.get("title") or next((h.text for h in headings), ""),
        first_line=1,
        headings=headings,
        metadata={name: value for name, value in metadata.items() if value},
    )


def _headings(text: str) -> Iterator[Heading]:
    for found in _HEADING.finditer(text):
        words = _PRIORITY.sub("", _STATE.sub("", found[2], count=1), count=1)
        words = " ".join(_TAGS.sub("", f" {words}").split())
        if words:
            yield Heading(found.start(), len(found[1]), words)
