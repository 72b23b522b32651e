"""PowerPoint presentations: the words of every slide in order, its notes last; a slide is a page.

Read from the XML itself: of what a library offers only the order of the slides would be used.
"""

from __future__ import annotations

from collections.abc import Iterator

from ragcli.corpus.loaders.builder import LINE_GAP, PARAGRAPH_GAP, TextBuilder
from ragcli.corpus.loaders.markup import MarkupReader, attribute
from ragcli.corpus.loaders.package import MOST_PACKAGE_BYTES, Package, opened_package
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document

_KIND = "a PowerPoint presentation"
_TITLES = frozenset(("title", "ctrTitle"))
_UNREAD = frozenset(("dt", "ftr", "hdr", "sldImg", "sldNum"))  # the same on every slide
_CELL_GAP = " | "


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the file as one document, and a ``Problem`` for every slide that cannot be read.

    A slide's title is a heading, a row of a table one line, the notes follow after "Notes:".
    Metadata are its ``author`` and the dates ``created`` and ``changed``. Raises ``LoadError`` for
    damaged, encrypted and foreign files.
    """
    builder = TextBuilder()
    starts: list[int] = []
    reasons: list[str] = []
    with opened_package(source.file, _KIND, MOST_PACKAGE_BYTES) as package:
        properties = package.properties()
        for number, name in enumerate(_slides(package), start=1):
            try:
                blocks = _slide(package, name)
            except LoadError as error:
                reasons.append(f"slide {number} cannot be read: {error.message}")
                blocks = []
            starts.append(_add(builder, blocks))
    if starts and len(reasons) == len(starts):
        raise LoadError(reasons[0])
    yield from source.problems(*reasons)
    yield source.document(
        builder.text,
        title=properties.title or next((h.text for h in builder.headings), ""),
        headings=builder.headings,
        page_starts=tuple(starts),
        metadata=properties.metadata,
    )


def _slides(package: Package) -> list[str]:
    """Names of the slides' parts in the order in which they are shown."""
    main = [found.target for found in package.relations() if found.kind == "officeDocument"]
    if not main:
        raise package.damaged()
    presentation = _Presentation()
    package.read_into(main[0], presentation)
    targets = {found.id: found.target for found in package.relations(main[0])}
    if not presentation.is_one or any(id_ not in targets for id_ in presentation.slides):
        raise package.damaged()
    return [targets[id_] for id_ in presentation.slides]


def _slide(package: Package, name: str) -> list[_Block]:
    slide = _Shapes()
    package.read_into(name, slide)
    blocks = slide.blocks
    for found in package.relations(name):
        if found.kind == "notesSlide":
            notes = _Shapes()
            package.read_into(found.target, notes)
            if notes.blocks:
                blocks = [*blocks, _Block("Notes:"), *notes.blocks]
    return blocks


def _add(builder: TextBuilder, blocks: list[_Block]) -> int:
    """Append a slide and return the offset at which it begins."""
    start: int | None = None
    for block in blocks:
        if block.is_title:
            builder.add_heading(block.text, 1)
            at = builder.headings[-1].start
        else:
            at = builder.add(block.text, LINE_GAP if block.continues else PARAGRAPH_GAP)
        start = at if start is None else start
    return builder.length if start is None else start


class _Block:
    """A paragraph or a row of a table; one that ``continues`` stands on the next line."""

    def __init__(self, text: str, *, is_title: bool = False, continues: bool = False) -> None:
        self.text = text
        self.is_title = is_title
        self.continues = continues


class _Presentation(MarkupReader):
    """Lists the slides in order, by the ids that the relations explain."""

    def __init__(self) -> None:
        self.slides: list[str] = []
        self.is_one = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "presentation":
            self.is_one = True
        elif tag == "sldId":
            self.slides.append(next((v for k, v in attributes.items() if k.endswith(":id")), ""))


class _Shapes(MarkupReader):
    """Collects the paragraphs and tables of all shapes, in the order in which they are drawn.

    A ``Fallback`` says again, for old programs, what was said before it.
    """

    def __init__(self) -> None:
        self.blocks: list[_Block] = []
        self._placeholder = ""
        self._paragraph: list[str] | None = None
        self._cells: list[list[str]] = []
        self._in_text = False
        self._fallbacks = 0
        self._first_of_shape = True
        self._titled = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "Fallback" or self._fallbacks:
            self._fallbacks += 1
        elif tag in ("sp", "graphicFrame"):
            self._placeholder, self._first_of_shape = "", True
        elif tag == "ph":
            self._placeholder = attribute(attributes, "type")
        elif tag == "p":
            self._paragraph = []
        elif tag == "tr":
            self._cells = []
        elif tag == "tc":
            self._cells.append([])
        elif self._paragraph is not None:
            self._in_text = tag == "t"
            self._paragraph.append({"br": "\n", "tab": "\t"}.get(tag, ""))

    def characters(self, text: str) -> None:
        if self._in_text and self._paragraph is not None and not self._fallbacks:
            self._paragraph.append(text)

    def end(self, tag: str) -> None:
        if self._fallbacks:
            self._fallbacks -= 1
        elif tag == "t":
            self._in_text = False
        elif tag == "p" and self._paragraph is not None:
            self._end_paragraph("".join(self._paragraph).strip())
            self._paragraph = None
        elif tag == "tr":
            cells = [" ".join(" ".join(cell).split()) for cell in self._cells]
            self._cells = []
            if any(cells):
                self._add(_CELL_GAP.join(cells))

    def _end_paragraph(self, text: str) -> None:
        if self._cells:
            self._cells[-1].append(text)
        elif text and self._placeholder not in _UNREAD:
            self._add(text)

    def _add(self, text: str) -> None:
        is_title = self._placeholder in _TITLES and not self._titled
        text = " ".join(text.split()) if is_title else text
        self.blocks.append(_Block(text, is_title=is_title, continues=not self._first_of_shape))
        self._titled = self._titled or is_title
        self._first_of_shape = is_title
