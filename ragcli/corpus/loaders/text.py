"""Plain text and source code: the file's characters as they are."""

from __future__ import annotations

from collections.abc import Iterator

from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.source import Source
from ragcli.records import Document


def load(source: Source) -> Iterator[Document]:
    """Yield the file as one document; raises ``LoadError`` when it is not text."""
    yield source.document(read_text(source.file), first_line=1)
