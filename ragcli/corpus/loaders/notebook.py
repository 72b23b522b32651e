"""Jupyter notebooks: the cells in order, headings by their Markdown, short outputs of code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ragcli.corpus.loaders.builder import LINE_GAP, TextBuilder
from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.markdown import headings
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document, Json

_LONGEST_OUTPUT = 1000
_CELL_LEVEL = 7  # deeper than any heading of Markdown
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_COLOUR = re.compile("\x1b\\[[0-9;]{0,20}m")


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the notebook as one document.

    Of what a cell of code printed, the first 1,000 characters stay: results are what people look
    for, and logs would bury them. A cell of code is a heading below that of its section, so that a
    citation names it. Metadata are ``language`` and ``author``. Raises ``LoadError`` for what is no
    notebook.
    """
    decoded = read_text(source.file)
    yield from source.problems(decoded.flaw)
    notebook = _parsed(decoded.text)
    builder = TextBuilder()
    for number, cell in enumerate(_cells(notebook), start=1):
        _add(builder, cell, number)
    metadata = _object(notebook.get("metadata"))
    titles = (h.text for h in builder.headings if h.level == 1)
    yield source.document(
        builder.text,
        title=_text(metadata.get("title")) or next(titles, ""),
        headings=builder.headings,
        metadata=_metadata(metadata),
    )


def _parsed(text: str) -> dict[str, Json]:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LoadError("damaged (truncated?), or not a Jupyter notebook") from error
    if not isinstance(notebook, dict) or not {"cells", "worksheets"} & notebook.keys():
        raise LoadError("damaged, or not a Jupyter notebook")
    return notebook


def _cells(notebook: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """The cells; up to version 3 of the format they stood in worksheets."""
    for holder in (notebook, *map(_object, _list(notebook.get("worksheets")))):
        yield from map(_object, _list(holder.get("cells")))


def _add(builder: TextBuilder, cell: dict[str, Json], number: int) -> None:
    kind = cell.get("cell_type")
    text = _text(cell.get("source")) or _text(cell.get("input"))
    if kind == "heading" and text.strip():  # up to version 3
        level = cell.get("level")
        builder.add_heading(" ".join(text.split()), level if isinstance(level, int) else 1)
    elif kind == "code":
        output = "\n".join(filter(None, map(_output, _list(cell.get("outputs")))))
        for part, gap in ((text, "\n\n"), (output[:_LONGEST_OUTPUT], LINE_GAP)):
            if part.strip():
                start = builder.add(part.strip("\n"), gap)
                if part is text:
                    builder.mark_heading(start, _CELL_LEVEL, f"cell {number}")
    elif text.strip():
        start = builder.add(text.strip("\n"))
        if kind == "markdown":
            for heading in headings(text.strip("\n")):
                builder.mark_heading(start + heading.start, heading.level, heading.text)


def _output(output: Json) -> str:
    """What a cell printed, returned or failed with, as text."""
    found = _object(output)
    data = _object(found.get("data"))
    text = _text(found.get("text")) or _text(data.get("text/plain"))
    if found.get("output_type") in ("error", "pyerr"):
        text = f"{_text(found.get('ename'))}: {_text(found.get('evalue'))}"
    return _COLOUR.sub("", text).strip("\n")


def _metadata(metadata: dict[str, Json]) -> dict[str, Json]:
    kernel, language = _object(metadata.get("kernelspec")), _object(metadata.get("language_info"))
    authors = (_text(_object(author).get("name")) for author in _list(metadata.get("authors")))
    found: dict[str, Json] = {
        "language": _text(language.get("name")) or _text(kernel.get("language")),
        "author": ", ".join(filter(None, authors)),
    }
    return {name: value for name, value in found.items() if value}


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _text(value: Json) -> str:
    """A text, which notebooks write as a list of lines as well."""
    lines = value if isinstance(value, list) else [value]
    return _NO_TEXT.sub("\ufffd", "".join(line for line in lines if isinstance(line, str)))
