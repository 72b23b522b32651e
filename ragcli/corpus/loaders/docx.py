"""Word documents: paragraphs, headings by their styles, tables as rows of cells."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml.ns import qn

from ragcli.corpus.loaders.builder import LINE_GAP, PARAGRAPH_GAP, TextBuilder
from ragcli.corpus.loaders.package import Package, opened_package
from ragcli.corpus.loaders.source import Source
from ragcli.records import Document

_MOST_UNPACKED_BYTES = 1 << 28
_TOP_LEVEL_STYLES = frozenset(("title",))
_NO_OUTLINE = 9  # Word's outline levels are 0 to 8; 9 is body text
_CELL_GAP = " | "
_DAMAGE = (  # as zipfile and python-docx tell it; lxml's XMLSyntaxError is a SyntaxError
    AssertionError,
    AttributeError,  # a part whose root element is another
    EOFError,
    LookupError,  # a part that is missing
    NotImplementedError,
    PackageNotFoundError,
    SyntaxError,
    TypeError,  # an attribute that is missing
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_MARKS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_TRANSPARENT = frozenset(
    map(qn, ("w:sdt", "w:sdtContent", "w:ins", "w:customXml", "w:smartTag", "w:moveTo"))
)
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"

Element = Any  # lxml publishes no types


def load(source: Source) -> Iterator[Document]:
    """Yield the file as one document.

    Metadata are its ``author`` and the dates ``created`` and ``changed``. Raises ``LoadError`` for
    damaged, encrypted and foreign files, and when the parts unpack to more than 256 MiB.
    """
    builder = TextBuilder()
    with opened_package(source.file, "a Word document", _MOST_UNPACKED_BYTES) as package:
        properties = package.properties()
        body, styles = _opened(package)
    _add_blocks(builder, body, styles)
    title = properties.title or next((h.text for h in builder.headings), "")
    yield source.document(
        builder.text, title=title, headings=builder.headings, metadata=properties.metadata
    )


def _opened(package: Package) -> tuple[Element, _Styles]:
    """The body of the document and its styles."""
    content = package.rewritten()
    try:
        word = docx.Document(content)
        body, styles = word.element.body, _Styles(word)
    except _DAMAGE as error:
        raise package.damaged() from error
    if body is None:
        raise package.damaged()
    return body, styles


class _Styles:
    """Tells a paragraph's heading level and whether it is a list item, by its style."""

    def __init__(self, word: WordDocument) -> None:
        elements = word.styles.element.findall(qn("w:style"))
        self._styles = {style.get(qn("w:styleId")): style for style in elements}

    def heading_level(self, paragraph: Element) -> int | None:
        """Depth from 1, ``None`` for body text."""
        own = _outline_level(paragraph)
        if own is not None:
            return own + 1 if own < _NO_OUTLINE else None
        for style in self._chain(paragraph):
            if _name(style) in _TOP_LEVEL_STYLES:
                return 1
            outline = _outline_level(style)
            if outline is not None:
                return outline + 1 if outline < _NO_OUTLINE else None
        return None

    def is_list_item(self, paragraph: Element) -> bool:
        """Whether the paragraph or a style of its has numbering or bullets."""
        holders = (paragraph, *self._chain(paragraph))
        return any(holder.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None for holder in holders)

    def _chain(self, paragraph: Element) -> Iterator[Element]:
        """The paragraph's style and those that it is based on; a circle ends."""
        reference = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
        seen: set[str] = set()
        while reference is not None:
            style_id = reference.get(qn("w:val"))
            style = self._styles.get(style_id)
            if style is None or style_id in seen:
                return
            seen.add(style_id)
            yield style
            reference = style.find(qn("w:basedOn"))


def _name(style: Element) -> str:
    name = style.find(qn("w:name"))
    return "" if name is None else str(name.get(qn("w:val"), "")).lower()


def _outline_level(holder: Element) -> int | None:
    level = holder.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
    value = "" if level is None else level.get(qn("w:val"), "")
    return int(value) if value.isdecimal() else None


def _add_blocks(builder: TextBuilder, parent: Element, styles: _Styles) -> None:
    for block in _blocks(parent):
        if block.tag == qn("w:tbl"):
            _add_table(builder, block)
        else:
            _add_paragraph(builder, block, styles)


def _add_paragraph(builder: TextBuilder, paragraph: Element, styles: _Styles) -> None:
    text = _text(paragraph).strip()
    level = styles.heading_level(paragraph)
    if not text:
        return
    if level is not None:
        builder.add_heading(" ".join(text.split()), level)
    elif styles.is_list_item(paragraph):
        builder.add(f"- {text}", LINE_GAP)
    else:
        builder.add(text)


def _add_table(builder: TextBuilder, table: Element) -> None:
    gap = PARAGRAPH_GAP
    for row in table.iter(qn("w:tr")):
        cells = [_cell_text(cell) for cell in row.findall(qn("w:tc"))]
        if any(cells):
            builder.add(_CELL_GAP.join(cells), gap)
            gap = LINE_GAP


def _cell_text(cell: Element) -> str:
    """The cell's own paragraphs on one line; a table inside it gives rows of its own."""
    paragraphs = (block for block in _blocks(cell) if block.tag == qn("w:p"))
    return " ".join(" ".join(_text(paragraph) for paragraph in paragraphs).split())


def _blocks(parent: Element) -> Iterator[Element]:
    """Paragraphs and tables in order, also those inside content controls and insertions."""
    for child in parent.iterchildren():
        if child.tag in (qn("w:p"), qn("w:tbl")):
            yield child
        elif child.tag in _TRANSPARENT:
            yield from _blocks(child)


def _text(paragraph: Element) -> str:
    """The words shown, with tabs and line breaks; deleted text has a tag of its own."""
    return "".join(_pieces(paragraph))


def _pieces(parent: Element) -> Iterator[str]:
    for child in parent.iterchildren():
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag not in (_FALLBACK, qn("w:pPr"), qn("w:rPr")):
            yield from _pieces(child)
