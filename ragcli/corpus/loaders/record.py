"""Records of a ``.jsonl``, ``.csv`` or ``.tsv`` file: which field is what, one document each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ragcli.corpus.loaders.source import RecordFields, Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document, Json

DEFAULT_ID_FIELDS = ("id", "_id")
DEFAULT_TITLE_FIELD = "title"
DEFAULT_TEXT_FIELD = "text"
_TITLE_GAP = "\n\n"
_MOST_FIELDS_NAMED = 8


@dataclass(frozen=True, slots=True)
class Record:
    """One record and the source line, 1-based, on which it begins.

    ``number`` counts the records, from 1, where several may begin on one line, else it is 0.
    """

    line: int
    values: Mapping[str, Json]
    number: int = 0

    @property
    def place(self) -> str:
        """Where the record is, in words."""
        return f"record {self.number}" if self.number else f"line {self.line}"


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be read, the line on which it begins, and why."""

    line: int
    reason: str

    @property
    def place(self) -> str:
        """Where the record is, in words."""
        return f"line {self.line}"


class _FieldError(Exception):
    """A record lacks a field or holds the wrong kind of value in it."""


def documents(
    source: Source, records: Iterable[Record | BadRecord]
) -> Iterator[Document | Problem]:
    """Yield a document for every good record and a ``Problem`` for every bad one.

    The text is the title, a blank line and the text, so that a title can be cited. A record
    without an id goes by its line or number; an id met before is a ``Problem``.
    """
    places: dict[str, str] = {}
    for record in records:
        if isinstance(record, BadRecord):
            yield _problem(source, record, record.reason)
            continue
        try:
            document = _document(source, record)
        except _FieldError as error:
            yield _problem(source, record, str(error))
            continue
        first = places.get(document.document_id)
        if first is None:
            places[document.document_id] = record.place
            yield document
        else:
            reason = f"id {document.document_id!r} is already that of {first}"
            yield _problem(source, record, reason)


def missing_fields(fields: RecordFields, names: Iterable[str]) -> list[str]:
    """The fields that records need (the text) or that the person named, and ``names`` lacks."""
    needed = (fields.id, fields.title, fields.text or DEFAULT_TEXT_FIELD)
    present = set(names)
    return [name for name in needed if name is not None and name not in present]


def describe_missing(names: Iterable[str], present: Iterable[str]) -> str:
    """Say in words which fields are missing and which there are."""
    there = list(present)
    listed = ", ".join(there[:_MOST_FIELDS_NAMED]) + ", …" * (len(there) > _MOST_FIELDS_NAMED)
    return f"no field {', '.join(map(repr, names))}; there is: {listed or 'nothing'}"


def _problem(source: Source, record: Record | BadRecord, reason: str) -> Problem:
    return Problem(source.shown_path, f"{record.place}: {reason}")


def _document(source: Source, record: Record) -> Document:
    missing = missing_fields(source.fields, record.values)
    if missing:
        raise _FieldError(describe_missing(missing, record.values))
    id_field = _id_field(source.fields, record.values)
    title_field = source.fields.title or DEFAULT_TITLE_FIELD
    text_field = source.fields.text or DEFAULT_TEXT_FIELD
    title = _words(record.values, title_field).strip()
    text = _words(record.values, text_field)
    used = {id_field, title_field, text_field}
    return Document(
        document_id=_record_id(source, record, id_field),
        path=source.shown_path,
        text=f"{title}{_TITLE_GAP}{text}" if title else text,
        content_hash=_record_hash(record.values),
        title=title,
        first_line=record.line,
        is_record=True,
        metadata={name: value for name, value in record.values.items() if name not in used},
    )


def _id_field(fields: RecordFields, values: Mapping[str, Json]) -> str | None:
    if fields.id is not None:
        return fields.id
    return next((name for name in DEFAULT_ID_FIELDS if name in values), None)


def _record_id(source: Source, record: Record, id_field: str | None) -> str:
    value = record.values[id_field] if id_field is not None else None
    if value is None or value == "":
        if source.fields.id is not None:
            raise _FieldError(f"its id {id_field!r} is empty")
        return f"{source.shown_path}#{record.number or record.line}"
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _FieldError(f"its id {id_field!r} is neither text nor a whole number")
    return str(value)


def _words(values: Mapping[str, Json], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if isinstance(value, list | dict | bool):
        raise _FieldError(f"its field {name!r} is not text")
    return str(value)


def _record_hash(values: Mapping[str, Json]) -> str:
    canonical = json.dumps(values, ensure_ascii=False, sort_keys=True)
    try:
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
    except UnicodeEncodeError as error:
        raise _FieldError("holds half of a surrogate pair, which is no character") from error
