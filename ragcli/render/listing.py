"""The files and documents that an index holds: tables, and JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from ragcli.render.machine import json_line
from ragcli.render.neutral import printable
from ragcli.render.summary import byte_size

_INCOMPLETE = "  (incomplete)"
_NO_TIME = "-"


class File(Protocol):
    """A file that the index holds, its size in bytes and its time in UTC."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def documents(self) -> int: ...  # noqa: D102
    @property
    def passages(self) -> int: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def modified(self) -> datetime | None: ...  # noqa: D102
    @property
    def content_hash(self) -> str | None: ...  # noqa: D102
    @property
    def is_complete(self) -> bool: ...  # noqa: D102


class Listed(Protocol):
    """A document of such a file."""

    @property
    def document_id(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def passages(self) -> int: ...  # noqa: D102


def file_table(files: Sequence[File]) -> Iterator[str]:
    """Yield a heading and a line for each file, the path last because it may be long."""
    rows = [("passages", "size", "modified", "path")]
    rows += [
        (str(file.passages), byte_size(file.size), _local(file.modified), _marked(file))
        for file in files
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for passages, size, modified, path in rows:
        yield f"{passages:>{widths[0]}}  {size:>{widths[1]}}  {modified:<{widths[2]}}  {path}"


def document_table(documents: Iterable[tuple[File, Listed]]) -> Iterator[str]:
    """Yield a line for each file and, indented, one for each of its documents."""
    before: File | None = None
    for file, document in documents:
        if file is not before:
            yield _marked(file)
            before = file
        title = f"  {printable(document.title)}" if document.title else ""
        yield f"{document.passages:>8}  {printable(document.document_id)}{title}"


def file_json(file: File) -> str:
    """Return a file as one JSON object."""
    return json_line(
        {
            "path": file.path,
            "documents": file.documents,
            "passages": file.passages,
            "bytes": file.size,
            "modified_at": None if file.modified is None else file.modified.isoformat(),
            "content_hash": file.content_hash,
            "complete": file.is_complete,
        }
    )


def document_json(file: File, document: Listed) -> str:
    """Return a document as one JSON object."""
    return json_line(
        {
            "path": file.path,
            "document_id": document.document_id,
            "title": document.title,
            "passages": document.passages,
        }
    )


def _marked(file: File) -> str:
    return printable(file.path) + ("" if file.is_complete else _INCOMPLETE)


def _local(moment: datetime | None) -> str:
    return _NO_TIME if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")
