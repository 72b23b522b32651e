"""What an index holds of a passage or a document, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ragcli.records import Document, StoredPassage
from ragcli.render.machine import json_line
from ragcli.render.neutral import printable, printable_block
from ragcli.render.place import place

_MARKED, _PLAIN = " > ", "   "
"""Gutter of a line: a mark shows which passage was asked for, also without colour."""

_LEAST_TEXT_WIDTH = 20


def passage_lines(stored: StoredPassage, console: Console, *, asked: bool) -> Iterator[Text]:
    """Yield a passage as lines that fit the console's width, its number and place first."""
    number = (str(stored.passage_id), "bold" if asked else "")
    title = Text.assemble(number, "  ", (place(stored), "cyan"))
    yield from title.wrap(console, console.width)
    width = max(console.width - len(_PLAIN), _LEAST_TEXT_WIDTH)
    heading = Text(printable(stored.passage.heading), style="dim")
    if heading.plain:
        yield from _indented(heading.wrap(console, width), _PLAIN)
    text = Text(printable_block(stored.passage.text).strip("\n"))
    yield from _indented(text.wrap(console, width), _MARKED if asked else _PLAIN)


def _indented(lines: Iterable[Text], gutter: str) -> Iterator[Text]:
    for line in lines:
        line.rstrip()
        yield Text(gutter if line.plain else gutter.rstrip()).append_text(line)


def passage_json(stored: StoredPassage, *, asked: bool) -> str:
    """Return a passage as one JSON object, with the keys that a hit of a search has."""
    passage = stored.passage
    return json_line(
        {
            "asked": asked,
            "path": stored.path,
            "passage_id": stored.passage_id,
            "document_id": stored.document_id,
            "title": stored.title,
            "start": passage.start,
            "end": passage.end,
            "line": passage.line,
            "page": passage.page,
            "heading": passage.heading,
            "text": passage.text,
            "metadata": dict(stored.metadata),
        }
    )


def document_heading(document: Document) -> str:
    """Return the line above a document that is one of several: its place and its id."""
    line = "" if document.first_line is None else f":{document.first_line}"
    return f"{printable(document.path)}{line}  {printable(document.document_id)}"


def document_block(document: Document) -> str:
    """Return a document's text with a line break at its end."""
    text = printable_block(document.text)
    return text if text.endswith("\n") or not text else f"{text}\n"


def document_json(document: Document, spans: Sequence[tuple[int, int, int]]) -> str:
    """Return a document as one JSON object.

    ``spans`` are its passages: their ids, and where they begin and end in the text.
    """
    fields: dict[str, Any] = {
        "path": document.path,
        "document_id": document.document_id,
        "title": document.title,
        "line": document.first_line,
        "text": document.text,
        "headings": [
            {"start": heading.start, "level": heading.level, "text": heading.text}
            for heading in document.headings
        ],
        "page_starts": list(document.page_starts),
        "metadata": dict(document.metadata),
        "passages": [
            {"passage_id": passage_id, "start": start, "end": end}
            for passage_id, start, end in spans
        ],
    }
    return json_line(fields)
