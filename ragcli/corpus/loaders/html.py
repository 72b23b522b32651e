"""HTML: what a reader of the page sees, its block structure as line breaks, its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ragcli.corpus.loaders.builder import LINE_GAP, PARAGRAPH_GAP, TextBuilder
from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.markup import without_tags
from ragcli.corpus.loaders.metadata import iso_date
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document, Json

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DROPPED = frozenset(
    "audio button canvas dialog head iframe nav noscript object script select style svg template"
    " textarea video -comment".split()
)
_DROPPED_ROLES = frozenset("menu menubar navigation search toolbar".split())
# What the link of a heading to itself is shown as; of these "#" and "§" stand in texts as well.
_PERMALINKS = frozenset("¶ \uf0c1 🔗".split())
_HEADING_LINKS = _PERMALINKS | {"#", "§"}
_PARAGRAPHS = frozenset(
    "article aside blockquote dl fieldset figure footer form header hr main ol p pre section table"
    " ul".split()
)
_LINES = frozenset("address body caption dd div dt figcaption html li option summary tr".split())
_CELLS = frozenset(("td", "th"))
_CELL_MARK = "\x1f"  # the unit separator, which no page shows: becomes " | " inside a row
_SPACES = re.compile(r"[ \t\r\n\f]+")
_DECLARED = re.compile(
    rb"<(?:meta[^>]{0,200}charset|\?xml[^>]{0,100}encoding)\s*=\s*[\"']?\s*([\w:.-]+)",
    re.IGNORECASE,
)
DECLARATION_BYTES = 4096
_DEEPEST = 5000
_TAG = re.compile(  # but of the elements that need no end
    r"<(/?)(?!(?:area|base|br|col|dd|dt|embed|hr|img|input|li|link|meta|p|param|source|td|th"
    r"|tr|track|wbr)\b)[a-z]",
    re.IGNORECASE,
)
_DESCRIPTIONS = {
    "author": "author",
    "dc.creator": "author",
    "article:published_time": "created",
    "date": "created",
    "dc.date": "created",
    "dcterms.created": "created",
}


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the page as one document; raises ``LoadError`` when it is not text.

    Metadata are the ``author`` and the date ``created``, where the page names them.
    """
    with source.file.open("rb") as stream:
        declared = declared_encoding(stream.read(DECLARATION_BYTES))
    decoded = read_text(source.file, declared)
    yield from source.problems(decoded.flaw)
    builder = TextBuilder()
    head = add_page(builder, decoded.text)
    yield source.document(
        builder.text,
        title=head.title or next((h.text for h in builder.headings), ""),
        headings=builder.headings,
        metadata=head.metadata,
    )


def declared_encoding(content: bytes) -> str | None:
    """The encoding that a page names in its first ``DECLARATION_BYTES``."""
    found = _DECLARED.search(content[:DECLARATION_BYTES])
    return found[1].decode("ascii", "replace") if found else None


@dataclass(frozen=True, slots=True)
class PageHead:
    """What a page says of itself."""

    title: str
    metadata: dict[str, Json]


def add_page(builder: TextBuilder, page: str) -> PageHead:
    """Append what a reader of the HTML ``page`` sees to ``builder``, a new paragraph.

    A page whose elements are nested by thousands, which takes parsers a time that is quadratic in
    their depth, is read without its structure.
    """
    if _is_deep(page):
        text = without_tags(page)
        if text:
            builder.add(text)
        return PageHead("", {})
    tree = LexborHTMLParser(page)
    title = tree.css_first("head > title")
    if tree.root is not None:
        _Page(builder).read(tree.root)
    return PageHead(" ".join(title.text().split()) if title else "", _metadata(tree))


def _is_deep(page: str) -> bool:
    if page.count("<") <= _DEEPEST:
        return False
    depth = 0
    for tag in _TAG.finditer(page):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        if depth > _DEEPEST:
            return True
    return False


def _metadata(tree: LexborHTMLParser) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for node in tree.css("head > meta[content]"):
        name = node.attributes.get("name") or node.attributes.get("property") or ""
        key = _DESCRIPTIONS.get(name.lower())
        value = " ".join((node.attributes.get("content") or "").split())
        if key == "created":
            value = iso_date(value)
        if key and value:
            found.setdefault(key, value)
    return found


class _Page:
    """Walks the tree in document order and cuts its text into blocks at the tags' borders."""

    def __init__(self, builder: TextBuilder) -> None:
        self.built = builder
        self._inline: list[str] = []
        self._gap = PARAGRAPH_GAP
        self._preformatted = 0

    def read(self, root: LexborNode) -> None:
        """Visit every element twice, at its start and its end, without recursion."""
        stack: list[tuple[LexborNode, bool]] = [(root, True)]
        while stack:
            node, is_start = stack.pop()
            tag = node.tag or ""
            if tag == "-text":
                self._add_text(node.text_content or "")
            elif not is_start:
                self._close(tag)
            elif tag not in _DROPPED and not _is_furniture(node, tag):
                self._open(tag)
                stack.append((node, False))
                children = list(node.iter(include_text=True))
                stack.extend((child, True) for child in reversed(children))
        self._flush(None)

    def _add_text(self, text: str) -> None:
        self._inline.append(text if self._preformatted else _SPACES.sub(" ", text))

    def _open(self, tag: str) -> None:
        self._break_at(tag, level=None)
        self._preformatted += tag == "pre"
        if tag == "li" and "".join(self._inline).strip() != "-":  # one waits for its text already
            self._inline.append("- ")
        elif tag == "br":
            self._inline.append("\n")

    def _close(self, tag: str) -> None:
        self._break_at(tag, level=_HEADINGS.get(tag))
        self._preformatted -= tag == "pre"
        if tag in _CELLS:
            self._inline.append(_CELL_MARK)

    def _break_at(self, tag: str, level: int | None) -> None:
        if tag in _PARAGRAPHS or tag in _HEADINGS:
            self._flush(level)
            self._gap = PARAGRAPH_GAP
        elif tag in _LINES:
            self._flush(level)

    def _flush(self, level: int | None) -> None:
        """End the block under way; blocks of blanks leave nothing but their wider gap."""
        text = _tidy("".join(self._inline), keep_spaces=self._preformatted > 0)
        if text == "-":
            return  # a bullet waits for its item's text, which may stand in a block of its own
        self._inline.clear()
        if not text.strip():
            return
        if level is None:
            self.built.add(text, self._gap)
            self._gap = LINE_GAP
        else:
            self.built.add_heading(" ".join(text.split()), level)
            self._gap = PARAGRAPH_GAP


def _is_furniture(node: LexborNode, tag: str) -> bool:
    """Whether an element is hidden, leads about the site, or is a heading's link to itself."""
    attributes = node.attributes
    roles = (attributes.get("role") or "").lower().split()
    if "hidden" in attributes or (roles and roles[0] in _DROPPED_ROLES):
        return True
    if tag != "a" or not (attributes.get("href") or "").startswith("#"):
        return False
    is_in_heading = node.parent is not None and node.parent.tag in _HEADINGS
    return node.text().strip() in (_HEADING_LINKS if is_in_heading else _PERMALINKS)


def _tidy(text: str, keep_spaces: bool) -> str:
    cells = [cell.strip() for cell in text.split(_CELL_MARK)]
    if len(cells) > 1:
        cells = cells if cells[-1] else cells[:-1]  # every cell ends with a mark, loose text not
        text = " | ".join(" ".join(cell.split()) for cell in cells) if any(cells) else ""
    if keep_spaces:
        return text.strip("\r\n")
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
