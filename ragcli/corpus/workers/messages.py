"""What the tool and its workers tell each other: frames of JSON, which runs no code when read.

A frame is its kind, the length of its content, and the content. The tool sends ``SET_UP``, then
``READ`` for every file. The worker answers ``READY`` (or ``BROKEN``), then for every file in turn
``BEGUN``, any number of ``ITEMS``, and ``DONE``; or ``UNCHANGED`` alone. ``FAILED`` may take the
place of each of these, ``ALIVE`` may come at any time.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO, cast

from ragcli.corpus.loaders.source import RecordFields
from ragcli.corpus.problem import Problem
from ragcli.corpus.workers.requests import ReadState, Request
from ragcli.errors import LoadError
from ragcli.records import Document, Heading, Json, Passage

Item = tuple[Document, list[Passage]] | Problem
"""What a file holds: a document cut into its passages, or what could not be read of it."""

HEADER = struct.Struct("!BQ")


class Kind(IntEnum):
    """What a frame says."""

    SET_UP = 1
    READ = 2
    READY = 3
    BROKEN = 4
    ALIVE = 5
    BEGUN = 6
    ITEMS = 7
    UNCHANGED = 8
    FAILED = 9
    DONE = 10


ENDS = frozenset({Kind.UNCHANGED, Kind.FAILED, Kind.DONE})
"""After one of these nothing more comes of a file."""

ANSWERS = ENDS | {Kind.BEGUN, Kind.ITEMS}
"""What may come of a file."""


@dataclass(frozen=True, slots=True)
class Message:
    """A frame's kind and its content, still as JSON."""

    kind: Kind
    content: bytes


@dataclass(frozen=True, slots=True)
class SetUp:
    """How a worker is to work.

    ``loader`` is the dotted name of a module and a function in it, ``tokenizer_file`` what a
    ``tokenizers.Tokenizer`` was saved to, ``folder`` the worker's own, for temporary files.
    """

    loader: str
    tokenizer_file: str
    max_tokens: int
    memory_bytes: int
    folder: str


def frame(kind: Kind, content: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return HEADER.pack(kind, len(content)) + content


def read_frame(stream: BinaryIO) -> Message | None:
    """The next frame of a stream that waits for its bytes, ``None`` at the stream's end."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, length = HEADER.unpack(header)
    content = stream.read(length)
    return Message(Kind(kind), content) if len(content) == length else None


def set_up_frame(set_up: SetUp) -> bytes:
    """The frame that sets a worker up."""
    values = (set_up.loader, set_up.tokenizer_file, set_up.max_tokens, set_up.memory_bytes)
    return frame(Kind.SET_UP, _encoded([*values, set_up.folder]))


def set_up_of(content: bytes) -> SetUp:
    """What ``set_up_frame`` was given."""
    return SetUp(*_decoded(content))


def request_frame(request: Request) -> bytes:
    """The frame that asks for a file."""
    fields = request.fields
    named: list[Json] = [fields.id, fields.title, fields.text]
    file = str(request.file)
    return frame(Kind.READ, _encoded([file, request.shown_path, named, request.known_hash]))


def request_of(content: bytes) -> Request:
    """What ``request_frame`` was given."""
    file, shown_path, named, known_hash = _decoded(content)
    return Request(Path(file), shown_path, RecordFields(*named), known_hash)


def state_frame(kind: Kind, state: ReadState) -> bytes:
    """The frame that says what a file is."""
    return frame(kind, _encoded([state.content_hash, state.size, state.modified_ns]))


def state_of(content: bytes) -> ReadState:
    """What ``state_frame`` was given."""
    return ReadState(*_decoded(content))


def failure(error: LoadError) -> Message:
    """The message that says why a file failed."""
    return Message(Kind.FAILED, _encoded([error.message, error.remedy]))


def failure_frame(error: LoadError, kind: Kind = Kind.FAILED) -> bytes:
    """The frame that says why a file, or all the work, failed."""
    return frame(kind, failure(error).content)


def failure_of(content: bytes) -> LoadError:
    """What ``failure`` or ``failure_frame`` was given."""
    return LoadError(*_decoded(content))


def encoded_problem(problem: Problem) -> bytes:
    """A problem as ``items_frame`` takes it."""
    return _encoded([problem.path, problem.reason])


def encoded_document(document: Document, passages: Sequence[Passage]) -> bytes:
    """A document with its passages as ``items_frame`` takes it.

    The passages' own texts are left out: they are slices of the document's.
    """
    return _encoded(
        [
            document.document_id,
            document.path,
            document.text,
            document.content_hash,
            document.title,
            document.first_line,
            document.is_record,
            [[heading.start, heading.level, heading.text] for heading in document.headings],
            list(document.page_starts),
            dict(document.metadata),
            [[p.start, p.end, p.heading, p.line, p.page] for p in passages],
        ]
    )


def items_frame(items: Iterable[bytes]) -> Sequence[bytes]:
    """The frame, in parts, of what ``encoded_document`` and ``encoded_problem`` returned."""
    joined = b",".join(items)  # a single document, which may be large, is not copied
    return HEADER.pack(Kind.ITEMS, len(joined) + 2) + b"[", joined, b"]"


def items_of(content: bytes) -> Iterator[Item]:
    """The documents and problems of an ``items_frame``."""
    for values in _decoded(content):
        if len(values) == 2:
            yield Problem(*values)
        else:
            yield _document(*values)


def _document(  # noqa: PLR0917
    document_id: str,
    path: str,
    text: str,
    content_hash: str,
    title: str,
    first_line: int | None,
    is_record: bool,
    headings: list[tuple[int, int, str]],
    page_starts: list[int],
    metadata: dict[str, Json],
    passages: list[tuple[int, int, str, int | None, int | None]],
) -> tuple[Document, list[Passage]]:
    document = Document(
        document_id=document_id,
        path=path,
        text=text,
        content_hash=content_hash,
        title=title,
        first_line=first_line,
        is_record=is_record,
        headings=tuple(Heading(*values) for values in headings),
        page_starts=tuple(page_starts),
        metadata=metadata,
    )
    return document, [
        Passage(start, end, text[start:end], heading, line, page)
        for start, end, heading, line, page in passages
    ]


def _encoded(content: list[Json]) -> bytes:
    # Halves of surrogate pairs stand for bytes of a path that are not Unicode.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _decoded(content: bytes) -> list[Any]:
    return cast("list[Any]", json.loads(content))
