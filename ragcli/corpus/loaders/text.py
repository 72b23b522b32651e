"""Plain text and source code: the file's characters as they are."""

from __future__ import annotations

from collections.abc import Iterator

from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the file as one document; raises ``LoadError`` when it is not text.

    Bytes that had to be replaced are a ``Problem`` beside it, as in all formats of text.
    """
    decoded = read_text(source.file)
    yield from source.problems(decoded.flaw)
    yield source.document(decoded.text, first_line=1)
