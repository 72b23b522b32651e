"""What is asked of a reader, what it may use for it, and what it found a file to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ragcli.corpus.loaders.source import RecordFields
from ragcli.corpus.problem import Problem
from ragcli.records import Document

Loader = Callable[[Path, str, RecordFields], Iterator[Document | Problem]]
"""As ``ragcli.corpus.loaders.load``: a function of a module, by whose name a worker finds it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may take before its reader is stopped.

    ``seconds`` without any sign of progress while the reader works on it; ``memory_bytes`` of
    address space beyond what the worker has already, where the system can tell and limit that.
    """

    seconds: float = 120.0
    memory_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Request:
    """One file to read; ``shown_path`` becomes ``Document.path``.

    A file that still has ``known_hash`` for its content is not parsed at all.
    """

    file: Path
    shown_path: str
    fields: RecordFields = RecordFields()
    known_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ReadState:
    """What the file was when it was read: SHA-256 of its bytes, their number, time of change.

    ``modified_ns`` is negative when the file was so fresh that it may change again without its
    time stamp showing it.
    """

    content_hash: str
    size: int
    modified_ns: int
