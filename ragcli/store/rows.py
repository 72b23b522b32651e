"""Rows of the catalogue's tables, and the records that they stand for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from ragcli.records import Document, Heading, Passage, StoredPassage
from ragcli.store.manifest import SourceState

SOURCE_COLUMNS = "path, content_hash, size, modified_ns, settings"
DOCUMENT_COLUMNS = (
    "document_id, sources.path, text, documents.content_hash, title, first_line, is_record,"
    " headings, page_starts, metadata"
)


def to_sql(text: str) -> str | bytes:
    """Text as a column value.

    Lone surrogates (a file name that is no UTF-8, an escape in a JSON record) are no Unicode
    text, so such strings are kept as bytes.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def from_sql(value: str | bytes) -> str:
    """The text that ``to_sql`` made a value of."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def text_hash(title: str, heading: str, text: str) -> bytes:
    """What a passage's vector is made of, as 16 bytes: its title, heading and words."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (title, heading, text):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


def stored_text_hash(title: str | bytes, heading: str | bytes, text: str | bytes) -> bytes:
    """``text_hash`` of column values."""
    return text_hash(from_sql(title), from_sql(heading), from_sql(text))


def state_values(source: SourceState) -> tuple[str | bytes | int, ...]:
    """Column values of a source, its path left out."""
    return source.content_hash, source.size, source.modified_ns, to_sql(source.settings)


def source_from(row: tuple[Any, ...]) -> SourceState:
    """The source of a row of ``SOURCE_COLUMNS``."""
    path, content_hash, size, modified_ns, settings = row
    return SourceState(from_sql(path), content_hash, size, modified_ns, from_sql(settings))


DOCUMENT_VALUE_COLUMNS = (
    "document_id, title, text, content_hash, first_line, is_record, headings, page_starts, metadata"
)


def document_values(document: Document) -> tuple[str | bytes | int | None, ...]:
    """Values of ``DOCUMENT_VALUE_COLUMNS``."""
    return (
        to_sql(document.document_id),
        to_sql(document.title),
        to_sql(document.text),
        document.content_hash,
        document.first_line,
        document.is_record,
        json.dumps([asdict(heading) for heading in document.headings]),
        json.dumps(document.page_starts),
        json.dumps(dict(document.metadata)),
    )


def document_from(row: tuple[Any, ...]) -> Document:
    """The document of a row of ``DOCUMENT_COLUMNS``, the last three being JSON."""
    document_id, path, text, content_hash, title, first_line, is_record, *derived = row
    headings, page_starts, metadata = (json.loads(value) for value in derived)
    return Document(
        document_id=from_sql(document_id),
        path=from_sql(path),
        text=from_sql(text),
        content_hash=content_hash,
        title=from_sql(title),
        first_line=first_line,
        is_record=bool(is_record),
        headings=tuple(Heading(**heading) for heading in headings),
        page_starts=tuple(page_starts),
        metadata=metadata,
    )


def passage_from(row: tuple[Any, ...]) -> StoredPassage:
    """The passage of a row, with what its document and source add."""
    passage_id, start, end, text, heading, line, page, document_id, path, title = row[:10]
    is_record, page_starts, metadata = row[10:]
    return StoredPassage(
        passage_id=passage_id,
        document_id=from_sql(document_id),
        path=from_sql(path),
        title=from_sql(title),
        is_record=bool(is_record),
        passage=Passage(start, end, from_sql(text), from_sql(heading), line, page),
        page_breaks=tuple(at - start for at in json.loads(page_starts) if start < at < end),
        metadata=json.loads(metadata),
    )
