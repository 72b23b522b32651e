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
    "ARCHIVE_SUFFIXES",
    "CODE_SUFFIXES",
    "LOADERS",
    "RECORD_FORMATS",
    "SUPPORTED_SUFFIXES",
    "Problem",
    "RecordFields",
    "Source",
    "content_hash",
    "format_of",
    "is_archive",
    "load",
    "may_hold_records",
    "one_line",
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
    ".eml": "mail",
    ".epub": "epub",
    ".htm": "html",
    ".html": "html",
    ".ipynb": "notebook",
    ".json": "json",
    ".jsonl": "jsonl",
    ".markdown": "markdown",
    ".md": "markdown",
    ".ndjson": "jsonl",
    ".org": "org",
    ".pdf": "pdf",
    ".pptx": "pptx",
    ".rst": "restructured",
    ".tex": "latex",
    ".tsv": "delimited",
    ".txt": "text",
    ".xhtml": "html",
    ".xlsx": "xlsx",
    ".xml": "xml",
    **dict.fromkeys(CODE_SUFFIXES, "text"),
}
"""Suffix (lower case, with its dot) to the module beside this one that loads it."""

SUPPORTED_SUFFIXES = frozenset(LOADERS)
"""The suffixes of ``LOADERS``; a file of any of them may also be compressed: ``notes.txt.gz``."""

COMPRESSED_SUFFIX = ".gz"
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_LONGEST_REASON = 500

RECORD_FORMATS = frozenset({"delimited", "json", "jsonl"})
"""The formats whose files are, or in the case of ``json`` may be, made of records."""


def format_of(name: str) -> str | None:
    """Name the loader module for a file called ``name``, ``None`` when it is not supported.

    ``name`` is the last part of a path, in upper or lower case; a final ``.gz`` is looked
    through. Archives are not files of a format: see ``is_archive``.
    """
    return LOADERS.get(_suffix(_inner_name(name.lower())))


def is_archive(name: str) -> bool:
    """Whether a file called ``name`` is an archive of files, which ``load`` reads one by one."""
    lowered = name.lower()
    return lowered.endswith(ARCHIVE_SUFFIXES) and lowered not in ARCHIVE_SUFFIXES


def may_hold_records(name: str) -> bool:
    """Whether the names of record fields matter to how a file called ``name`` is read."""
    return format_of(name) in RECORD_FORMATS or is_archive(name)


def load(
    file: Path, shown_path: str, fields: RecordFields = RecordFields()
) -> Iterator[Document | Problem]:
    """Yield the documents of ``file``: one, or one a record; a bad record is a ``Problem``.

    ``shown_path`` becomes ``Document.path``. A compressed file is read as what it is inside, an
    archive as all the files in it. Raises ``LoadError`` while iterating when the file as a whole
    cannot be read; its message is the reason alone, without the path.
    """
    try:
        for found in _loader(_module(file.name))(Source(file, shown_path, fields)):
            if isinstance(found, Problem):
                yield Problem(found.path, one_line(found.reason))
            else:
                yield found
    except LoadError as error:
        raise LoadError(one_line(error.message), error.remedy) from error
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise LoadError("its parts are nested too deeply") from error
    except MemoryError as error:
        raise LoadError("takes more memory than there is") from error


def one_line(reason: str) -> str:
    """The reason, in which a file's own words may stand, fit to be shown: short and printable."""
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]}…"
    if reason.isprintable():
        return reason
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in reason)


def _module(name: str) -> str:
    if is_archive(name):
        return "archive"
    module = format_of(name)
    if module is None:
        raise LoadError(f"unsupported format {_suffix(name)!r}")
    return "compressed" if name.lower().endswith(COMPRESSED_SUFFIX) else module


def _inner_name(name: str) -> str:
    return name.removesuffix(COMPRESSED_SUFFIX)


def _suffix(name: str) -> str:
    """As ``Path.suffix`` says it: what a name begins with is no suffix."""
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""


def _loader(name: str) -> Callable[[Source], Iterator[Document | Problem]]:
    module = import_module(f"ragcli.corpus.loaders.{name}")
    return cast("Callable[[Source], Iterator[Document | Problem]]", module.load)
