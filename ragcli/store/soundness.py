"""Whether what is held of a document is what was stored, and what can be kept where it is not.

A passage's words stand in its document as well, and a hash of them beside it: of these three, two
that agree tell which one is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ragcli.records import Document, Heading, Passage
from ragcli.store.manifest import INCOMPLETE, SourceState
from ragcli.store.rows import DOCUMENT_VALUE_COLUMNS, text_hash

if TYPE_CHECKING:
    import sqlite3

PASSAGE_COLUMNS = 'passage_id, start, "end", passages.text, heading, line, page, text_hash'
"""What ``passage_from_row`` reads, and a vector where there is one."""

BARE_MARK = "without its passages: "
"""Stands before the content hash of a document that waits to be embedded anew.

So no run takes it for one that is in place, however equal the file's document is to it.
"""

_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class HeldPassage:
    """A passage as its row has it; ``of_text`` is ``None`` in a schema without text hashes."""

    passage_id: int
    passage: Passage
    of_text: bytes | None
    vector: bytes


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document as its row has it; what cannot be meant is left out or read as far as that goes.

    ``is_intact`` says that every value can be meant, ``text_bytes`` how long its text is stored.
    """

    document: Document
    is_intact: bool
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about a document.

    ``document`` is as it should stand in the catalogue. ``passages`` are all of it with sound
    vectors, or none when it ``is_bare``, to be embedded anew; ``kept`` are then the vectors of
    those that are sound, by text hash. ``is_flawed`` says that the catalogue has it otherwise.
    """

    document: Document
    passages: tuple[HeldPassage, ...]
    kept: Mapping[bytes, bytes]
    is_bare: bool
    is_flawed: bool

    @property
    def is_sound(self) -> bool:
        """Whether it is all there, as it was stored."""
        return not (self.is_bare or self.is_flawed)


class Undecoded(str):
    """What can be read of a text that is no UTF-8, which takes ``n_bytes``."""

    n_bytes: int


def lenient_text(value: bytes) -> str:
    """A ``text_factory`` that reads what is no UTF-8 as well, and marks it."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        text = Undecoded(value.decode("utf-8", "replace"))
        text.n_bytes = len(value)
        return text


def is_unit(vector: object, dimension: int) -> bool:
    """Whether a column holds a vector ``(dimension,)`` of length 1."""
    import numpy as np

    if not isinstance(vector, bytes) or len(vector) != 4 * dimension:
        return False
    row = np.frombuffer(vector, dtype="<f4").astype(np.float64)
    return bool(np.isfinite(row).all() and abs(float(row @ row) - 1) < _UNIT_TOLERANCE)


def passage_from_row(row: Sequence[Any]) -> HeldPassage | None:
    """The passage of ``PASSAGE_COLUMNS`` and a vector; ``None`` for values that no passage has."""
    passage_id, start, end, text, heading, line, page, of_text, vector = row
    words, above = stored_text(text), stored_text(heading)
    counts = (value for value in (start, end, line, page) if value is not None)
    is_sound = (
        None not in (start, end, words, above)
        and all(map(is_count, counts))
        and (of_text is None or isinstance(of_text, bytes))
    )
    if not is_sound or words is None or above is None:
        return None
    passage = Passage(start, end, words, above, line, page)
    return HeldPassage(passage_id, passage, of_text, vector if isinstance(vector, bytes) else b"")


def document_from_row(path: str, row: Sequence[Any]) -> ReadDocument:
    """The document of a row of ``DOCUMENT_VALUE_COLUMNS``, of the source ``path``."""
    document_id, title, text, content_hash, first_line, is_record, *derived = row
    texts = [stored_text(value) for value in (document_id, title, text, content_hash)]
    parsed = [_parsed(read, value) for read, value in zip(_DERIVED, derived, strict=True)]
    whole = readable_text(text)
    places = [heading.start for heading in parsed[0] or ()] + list(parsed[1] or ())
    is_placed = all(place <= len(whole) for place in places)
    has_line = first_line is None or is_count(first_line)
    headings, page_starts, metadata = parsed
    document = Document(
        document_id=readable_text(document_id) or path,
        path=path,
        text=whole,
        content_hash=texts[3] or "",
        title=readable_text(title),
        first_line=first_line if has_line else None,
        is_record=bool(is_record),
        headings=headings if headings and is_placed else (),
        page_starts=page_starts if page_starts and is_placed else (),
        metadata=metadata or {},
    )
    is_intact = None not in texts and None not in parsed and is_placed and has_line
    return ReadDocument(document, is_intact and is_record in {0, 1}, _stored_bytes(text))


def examine(
    read: ReadDocument,
    rows: Sequence[HeldPassage | None],
    dimension: int,
    distrusted: frozenset[int] = frozenset(),
) -> Examined:
    """Hold a document against its passages, which stand in the order of their places.

    A row of ``None`` is a passage that cannot be read. The vectors of ``distrusted`` passages
    count as damaged.
    """
    document, is_intact = read.document, read.is_intact
    genuine = [held for held in rows if held is not None and _is_genuine(held, document)]
    joined = _joined(genuine) if len(genuine) == len(rows) else None
    if joined is not None and joined != document.text and _goes_before(joined, genuine, read):
        document, is_intact = replace(document, text=joined), False
    is_whole = joined == document.text or (not rows and not document.text.strip())
    usable = [
        held
        for held in genuine
        if is_unit(held.vector, dimension) and held.passage_id not in distrusted
    ]
    is_marked = document.content_hash.startswith(BARE_MARK)
    document = replace(document, content_hash=document.content_hash.removeprefix(BARE_MARK))
    if is_whole and len(usable) == len(rows):
        return Examined(document, tuple(usable), {}, is_bare=False, is_flawed=not is_intact)
    kept = {_hash_of(held, document.title): held.vector for held in usable}
    is_bare = bool(document.text.strip())
    if is_bare:
        document = replace(document, content_hash=BARE_MARK + document.content_hash)
    is_flawed = bool(rows) or not is_intact or is_marked != is_bare
    return Examined(document, (), kept, is_bare=is_bare, is_flawed=is_flawed)


def examined_document(
    connection: sqlite3.Connection,
    key: int,
    dimension: int,
    distrusted: frozenset[int] = frozenset(),
) -> Examined:
    """What is found out about the document with this key, whose source is there.

    The connection reads text by ``lenient_text``.
    """
    path, *values = connection.execute(
        "SELECT (SELECT path FROM sources WHERE sources.source_id = documents.source_id),"
        f" {DOCUMENT_VALUE_COLUMNS} FROM documents WHERE document_key = ?",
        (key,),
    ).fetchone()
    read = document_from_row(readable_text(path), values)
    rows = connection.execute(
        f"SELECT {PASSAGE_COLUMNS}, vector FROM passages LEFT JOIN vectors USING (passage_id)"
        " WHERE document_key = ? ORDER BY start, passage_id",
        (key,),
    )
    held = [passage_from_row(row) for row in rows]
    return examine(read, held, dimension, distrusted)


def source_from_row(row: Sequence[Any]) -> tuple[SourceState, bool]:
    """The source of a row of ``SOURCE_COLUMNS``, and whether every value can be meant.

    Where one cannot, the source counts as incomplete.
    """
    path, content_hash, size, modified_ns, settings = row
    texts = [stored_text(value) for value in (path, content_hash, settings)]
    if None in texts or not is_count(size) or not isinstance(modified_ns, int):
        return SourceState(readable_text(path), INCOMPLETE, 0, 0, texts[2] or ""), False
    return SourceState(texts[0] or "", texts[1] or "", size, modified_ns, texts[2] or ""), True


def _is_genuine(held: HeldPassage, document: Document) -> bool:
    """Whether a passage is what it was: by its hash, in an old schema by its document."""
    passage = held.passage
    if passage.end - passage.start != len(passage.text):
        return False
    if held.of_text is None:
        return document.text[passage.start : passage.end] == passage.text
    return held.of_text == text_hash(document.title, passage.heading, passage.text)


def _joined(passages: Sequence[HeldPassage]) -> str | None:
    """The text that the passages make up; ``None`` when one is missing in between."""
    at = 0
    for held in passages:
        if held.passage.start != at:
            return None
        at = held.passage.end
    return "".join(held.passage.text for held in passages)


def _goes_before(joined: str, passages: Sequence[HeldPassage], read: ReadDocument) -> bool:
    """Whether the passages are to be believed, which make up another text than the document's.

    Not when the last ones may be missing: bytes that are overwritten stay as many as they were.
    """
    if not passages:
        return False
    is_last = read.document.text.endswith(passages[-1].passage.text)
    return is_last or _stored_bytes(joined) >= read.text_bytes


def _hash_of(held: HeldPassage, title: str) -> bytes:
    passage = held.passage
    return held.of_text or text_hash(title, passage.heading, passage.text)


def is_count(value: object) -> bool:
    """Whether a column holds a whole number that is not negative."""
    return isinstance(value, int) and value >= 0


def stored_text(value: object) -> str | None:
    """The text that a column holds; ``None`` when it holds none, or none that was stored."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return None
    return value if isinstance(value, str) and not isinstance(value, Undecoded) else None


def readable_text(value: object) -> str:
    """What can be read of a text."""
    if isinstance(value, bytes):
        return stored_text(value) or value.decode("utf-8", "replace")
    return str(value) if isinstance(value, str) else ""


def _stored_bytes(text: object) -> int:
    """How many bytes a text takes in the catalogue."""
    if isinstance(text, Undecoded):
        return text.n_bytes
    if isinstance(text, str):
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) if isinstance(text, bytes) else 0


def _parsed(read: Callable[[Any], Any], value: object) -> Any:  # noqa: ANN401
    """What ``read`` makes of JSON, ``None`` when that is not what was stored."""
    try:
        return read(json.loads(value)) if isinstance(value, str) else None
    except (ValueError, TypeError, RecursionError):
        return None


def _headings(value: Any) -> tuple[Heading, ...] | None:  # noqa: ANN401
    headings = tuple(Heading(**heading) for heading in value)
    is_sound = all(
        is_count(one.start) and is_count(one.level) and isinstance(one.text, str)
        for one in headings
    )
    return headings if is_sound else None


def _page_starts(value: Any) -> tuple[int, ...] | None:  # noqa: ANN401
    return tuple(value) if isinstance(value, list) and all(map(is_count, value)) else None


def _metadata(value: Any) -> dict[str, Any] | None:  # noqa: ANN401
    return value if isinstance(value, dict) else None


_DERIVED: tuple[Callable[[Any], Any], ...] = (_headings, _page_starts, _metadata)
