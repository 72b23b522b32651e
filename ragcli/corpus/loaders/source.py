"""What a loader is given: the file, the path to show, and the names of record fields."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ragcli.corpus.problem import Problem
from ragcli.records import Document, Heading, Json

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RecordFields:
    """Which fields of a record are its id, title and text; ``None`` stands for the default.

    The defaults are ``id`` or ``_id``, ``title`` and ``text``; ``id`` and ``title`` may be absent
    from a record unless they are named here.
    """

    id: str | None = None
    title: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file to load, and ``shown_path``, the name its documents and problems go by."""

    file: Path
    shown_path: str
    fields: RecordFields = RecordFields()

    def problems(self, *reasons: str) -> Iterator[Problem]:
        """Report each reason that is not "" as a problem of the file."""
        return (Problem(self.shown_path, reason) for reason in reasons if reason)

    def document(
        self,
        text: str,
        *,
        title: str = "",
        first_line: int | None = None,
        headings: tuple[Heading, ...] = (),
        page_starts: tuple[int, ...] = (),
        metadata: Mapping[str, Json] | None = None,
    ) -> Document:
        """Make the one document of a file that is not made of records."""
        return Document(
            document_id=self.shown_path,
            path=self.shown_path,
            text=text,
            content_hash=content_hash(self.file),
            title=title,
            first_line=first_line,
            headings=headings,
            page_starts=page_starts,
            metadata=metadata or {},
        )


def content_hash(file: Path) -> str:
    """SHA-256 of the file's bytes as 64 hexadecimal digits; raises ``OSError``."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
