"""EPUB books: the chapters in the order of their spine, each read as a page of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragcli.corpus.loaders.builder import TextBuilder
from ragcli.corpus.loaders.encoding import decode_text
from ragcli.corpus.loaders.html import add_page, declared_encoding
from ragcli.corpus.loaders.markup import MarkupReader, attribute
from ragcli.corpus.loaders.package import (
    MOST_PACKAGE_BYTES,
    Package,
    PropertyReader,
    opened_package,
    resolve,
)
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = frozenset(("application/xhtml+xml", "text/html", "application/x-dtbook+xml"))
_EMPTY_ELEMENT = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)"
    r"([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>"
)
"""``<title/>``, which HTML, unlike XML, takes for the beginning of a title."""


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the book as one document, and a ``Problem`` for every chapter that cannot be read.

    Metadata are its ``author`` and the date ``created``. Raises ``LoadError`` for damaged and
    foreign files, and when no chapter can be read, as under copy protection.
    """
    with opened_package(source.file, "an EPUB book", MOST_PACKAGE_BYTES) as package:
        book = _book(package)
        encrypted = _encrypted(package)
        builder = TextBuilder()
        reasons: list[str] = []
        for name in book.chapters:
            reason = _add_chapter(builder, package, name, encrypted)
            if reason:
                reasons.append(f"chapter {name}: {reason}")
    if reasons and not builder.length:
        raise LoadError(reasons[0])
    yield from source.problems(*reasons)
    properties = book.properties()
    yield source.document(
        builder.text,
        title=properties.title or next((h.text for h in builder.headings), ""),
        headings=builder.headings,
        metadata=properties.metadata,
    )


def _book(package: Package) -> _Book:
    container = _Container()
    package.read_into(_CONTAINER, container)
    if not container.book:
        raise package.damaged()
    book = _Book(container.book.rpartition("/")[0])
    package.read_into(container.book, book)
    if not book.chapters:
        raise package.damaged()
    return book


def _add_chapter(
    builder: TextBuilder, package: Package, name: str, encrypted: frozenset[str]
) -> str:
    """Append a chapter, and say what of it could not be read, "" for nothing."""
    if name in encrypted:
        return "encrypted (copy-protected?)"
    try:
        content = package.read(name)
        decoded = decode_text(content, declared_encoding(content))
    except LoadError as error:
        return error.message
    add_page(builder, _EMPTY_ELEMENT.sub(r"<\1\2></\1>", decoded.text))
    return decoded.flaw


def _encrypted(package: Package) -> frozenset[str]:
    listed = _Encryption()
    if package.has(_ENCRYPTION):
        package.read_into(_ENCRYPTION, listed)
    return frozenset(listed.names)


class _Container(MarkupReader):
    """Finds where the package says that the book is described."""

    def __init__(self) -> None:
        self.book = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "rootfile" and not self.book:
            self.book = resolve("", attribute(attributes, "full-path"))


class _Encryption(MarkupReader):
    """Lists the parts that are encrypted."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "CipherReference":
            self.names.append(resolve("", attribute(attributes, "URI")))


class _Book(PropertyReader):
    """Reads a book's description: its properties, its parts, and the order of its chapters."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self._pages: dict[str, str] = {}
        self._order: dict[str, None] = {}

    @property
    def chapters(self) -> list[str]:
        """Names of the parts in the order of reading, each once."""
        return list(dict.fromkeys(self._pages[id_] for id_ in self._order if id_ in self._pages))

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Note a part or a place in the order."""
        super().start(tag, attributes)
        if tag == "item" and attribute(attributes, "media-type") in _PAGES:
            name = resolve(self._folder, attribute(attributes, "href"))
            self._pages[attribute(attributes, "id")] = name
        elif tag == "itemref":
            self._order[attribute(attributes, "idref")] = None
