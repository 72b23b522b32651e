"""One loader per format, file to ``Document``; to add a format, write its module and name it here.

A loader module has a function ``load(source: Source) -> Iterator[Document | Problem]`` and is
imported when the first file of its format is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

from ragcli.corpus.loaders.source import RecordFields, Source, content_hash
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document

__all__ = [
    "CODE_SUFFIXES",
    "LOADERS",
    "SUPPORTED_SUFFIXES",
    "Problem",
    "RecordFields",
    "Source",
    "content_hash",
    "load",
]

CODE_SUFFIXES = frozenset(
    ".bash .c .cc .clj .cpp .cs .css .cu .cxx .dart .ex .exs .go .h .hpp .hs .java .jl .js .jsx"
    " .kt .kts .lua .m .ml .mjs .php .pl .ps1 .py .pyi .r .rb .rs .scala .sh .sql .swift .toml"
    " .ts .tsx .yaml .yml .zig .zsh".split()
)

LOADERS: dict[str, str] = {
    ".adoc": "text",
    ".csv": "delimited",
    ".docx": "docx",
    ".htm": "html",
    ".html": "html",
    ".jsonl": "jsonl",
    ".markdown": "markdown",
    ".md": "markdown",
    ".ndjson": "jsonl",
    ".org": "text",
    ".pdf": "pdf",
    ".rst": "restructured",
    ".tex": "text",
    ".tsv": "delimited",
    ".txt": "text",
    ".xhtml": "html",
    **dict.fromkeys(CODE_SUFFIXES, "text"),
}
"""Suffix (lower case, with its dot) to the module beside this one that loads it."""

SUPPORTED_SUFFIXES = frozenset(LOADERS)


def load(
    file: Path, shown_path: str, fields: RecordFields = RecordFields()
) -> Iterator[Document | Problem]:
    """Yield the documents of ``file``: one, or one a record; a bad record is a ``Problem``.

    ``shown_path`` becomes ``Document.path``. Raises ``LoadError`` while iterating when the file
    as a whole cannot be read; its message is the reason alone, without the path.
    """
    name = LOADERS.get(file.suffix.lower())
    if name is None:
        raise LoadError(f"unsupported format {file.suffix!r}")
    try:
        yield from _loader(name)(Source(file, shown_path, fields))
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}") from error


def _loader(name: str) -> Callable[[Source], Iterator[Document | Problem]]:
    module = import_module(f"ragcli.corpus.loaders.{name}")
    return cast("Callable[[Source], Iterator[Document | Problem]]", module.load)
