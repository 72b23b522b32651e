"""PDF: the text of every page, and the outline's entries as headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pypdfium2
from pypdfium2 import PdfDocument, PdfiumError

from ragcli.corpus.loaders.metadata import pdf_date
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document, Heading, Json

_PAGE_GAP = "\n"  # one line break, so that a sentence may run over the page's end
_HYPHENATED = re.compile("[\u0002\ufffe]\r?\n?")  # how PDFium marks a word divided by the layout
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class _Pages:
    """The text of all pages and the offset at which each begins."""

    text: str
    starts: tuple[int, ...]

    def span(self, number: int) -> tuple[int, int]:
        """First and past-the-last offset of the page with 0-based ``number``."""
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.text)
        return self.starts[number], end


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield a ``Problem`` for every page that cannot be read, then the file as one document.

    Metadata are its ``author`` and the dates ``created`` and ``changed``. Raises ``LoadError`` for
    damaged and password-protected files, and when no page has text.
    """
    with closing(_open(source.file)) as pdf:
        texts: list[str] = []
        for number in range(len(pdf)):
            text = _page_text(pdf, number)
            if isinstance(text, PdfiumError):
                yield Problem(source.shown_path, f"page {number + 1} cannot be read: {text}")
            texts.append(text if isinstance(text, str) else "")
        pages = _Pages("".join(texts), tuple(accumulate(map(len, texts[:-1]), initial=0)))
        if not pages.text.strip():
            raise LoadError(f"no text in its {len(texts)} pages (a scan?); run OCR on it first")
        yield source.document(
            pages.text,
            title=_line(pdf.get_metadata_value("Title")),
            headings=tuple(_headings(pdf, pages)),
            page_starts=pages.starts,
            metadata=_metadata(pdf),
        )


def _open(file: Path) -> PdfDocument:
    if file.stat().st_size == 0:
        raise LoadError("the file is empty (0 bytes)")
    try:
        return pypdfium2.PdfDocument(file)
    except PdfiumError as error:
        if "password" in str(error).lower():
            raise LoadError("password-protected; save a copy without its password") from error
        raise LoadError("damaged (truncated?), or not a PDF") from error


def _page_text(pdf: PdfDocument, number: int) -> str | PdfiumError:
    try:
        with closing(pdf[number]) as page, closing(page.get_textpage()) as text_page:
            return _tidy(text_page.get_text_range()) + _PAGE_GAP
    except PdfiumError as error:
        return error


def _tidy(text: str) -> str:
    """Rejoin divided words, one kind of line end, no control characters."""
    text = _HYPHENATED.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNWANTED.sub("", text).strip("\n")


def _line(words: str) -> str:
    return " ".join(_tidy(words).split())


def _metadata(pdf: PdfDocument) -> dict[str, Json]:
    author = _line(pdf.get_metadata_value("Author"))
    created = pdf_date(pdf.get_metadata_value("CreationDate"))
    changed = pdf_date(pdf.get_metadata_value("ModDate"))
    found = {"author": author, "created": created, "changed": changed}
    return {name: value for name, value in found.items() if value}


def _headings(pdf: PdfDocument, pages: _Pages) -> Iterator[Heading]:
    """The outline's entries where their words stand on their page, else at its beginning."""
    position = 0
    for bookmark in pdf.get_toc():
        destination = bookmark.get_dest()
        number = destination.get_index() if destination else None
        title = _line(bookmark.get_title())
        if number is None or not 0 <= number < len(pages.starts) or not title:
            continue
        start, end = pages.span(number)
        words = re.compile(r"\s+".join(map(re.escape, title.split())))
        found = words.search(pages.text, max(start, position), end)
        start = found.start() if found else start
        if start >= position:  # an outline out of reading order would not nest
            position = start
            yield Heading(start, bookmark.level + 1, title)
