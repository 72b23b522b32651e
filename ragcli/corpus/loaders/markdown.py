"""Markdown: its characters as they are, headings by CommonMark, front matter as metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

import yaml
from markdown_it import MarkdownIt

from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document, Heading, Json

_FRONT_MATTER = re.compile(
    r"---[ \t]*\r?\n(?![ \t]*\r?\n)(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL
)
"""A YAML block; a blank line after ``---`` makes it a mere rule above the text, as for Pandoc."""

_LONGEST_FRONT_MATTER = 1 << 16  # YAML is read slowly
_LINE_END = re.compile(r"\r\n|\r|\n")  # what CommonMark, and so the parser's map, counts
_INDENT = re.compile(r"[ \t]*")


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the file as one document; raises ``LoadError`` when it is not text."""
    decoded = read_text(source.file)
    yield from source.problems(decoded.flaw)
    text = decoded.text
    front = _FRONT_MATTER.match(text, 0, _LONGEST_FRONT_MATTER)
    metadata = _front_matter(front[1] or "") if front else {}
    found = tuple(headings(text, front.end() if front else 0))
    yield source.document(
        text,
        title=_title(metadata, found),
        first_line=1,
        headings=found,
        metadata={key: value for key, value in metadata.items() if key != "title"},
    )


def _title(metadata: Mapping[str, Json], headings: tuple[Heading, ...]) -> str:
    named = metadata.get("title")
    return str(named) if named else next((h.text for h in headings if h.level == 1), "")


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases: a few lines of them can stand for more values than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def _front_matter(block: str) -> dict[str, Json]:
    """The YAML mapping as JSON values, dates and infinities as text; {} when it is no mapping."""
    try:
        values = json.dumps(yaml.load(block, Loader=_PlainLoader), default=str)
        loaded = json.loads(values, parse_constant=str)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError):
        return {}  # the block stays in the text, so nothing of it is lost
    return loaded if isinstance(loaded, dict) else {}


def headings(text: str, body: int = 0) -> Iterator[Heading]:
    """The headings outside code, quotes and lists from offset ``body`` on."""
    parser, inline_parser = MarkdownIt("commonmark"), MarkdownIt("commonmark")
    parser.core.ruler.disable("inline")  # only headings need their inline marks parsed
    line_starts = [body, *(match.end() for match in _LINE_END.finditer(text, body))]
    tokens = parser.parse(text[body:])
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            start = line_starts[token.map[0]]
            indented = _INDENT.match(text, start)
            words = _plain(inline_parser, inline.content)
            if words:
                yield Heading(indented.end() if indented else start, int(token.tag[1:]), words)


def _plain(parser: MarkdownIt, content: str) -> str:
    """The words of a heading without emphasis, links and code marks."""
    children = parser.parseInline(content)[0].children or []
    words = (" " if child.type.endswith("break") else child.content for child in children)
    return " ".join("".join(words).split())
