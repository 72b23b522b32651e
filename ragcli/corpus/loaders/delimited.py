"""Tables of delimited values: a header line, then one document a row."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from ragcli.corpus.loaders.encoding import detect
from ragcli.corpus.loaders.record import (
    BadRecord,
    Record,
    describe_missing,
    documents,
    missing_fields,
)
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document

_MOST_CELL_CHARACTERS = 1 << 30
_DELIMITERS = ",;\t|"  # a tie goes to the first


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield a document for every row and a ``Problem`` for every broken or ragged one, as a stream.

    The delimiter is a tab for ``.tsv``, else the commonest of comma, semicolon, tab and bar in the
    header; quotes are those of CSV in both. Raises ``LoadError`` for binary content, unknown
    encodings and a header without the fields that are needed.
    """
    with source.file.open("rb") as content:
        decoding = detect(content)
    yield from source.problems(decoding.flaw)
    with source.file.open(encoding=decoding.encoding, errors="replace", newline="") as stream:
        yield from documents(source, _records(source, stream))


def _records(source: Source, stream: TextIO) -> Iterator[Record | BadRecord]:
    delimiter = "\t" if source.file.suffix.lower() == ".tsv" else _delimiter(stream)
    header: list[str] | None = None
    for line, row in _rows(stream, delimiter):
        if isinstance(row, csv.Error):
            yield BadRecord(line, f"the row cannot be read: {row}")
        elif header is None:
            _check_header(source, row)
            header = row
        elif len(row) == len(header):
            yield Record(line, dict(zip(header, row, strict=True)))
        else:
            yield BadRecord(line, f"{len(row)} cells, but the header has {len(header)}")


def _delimiter(stream: TextIO) -> str:
    header = next((line for line in stream if line.strip()), "")
    stream.seek(0)
    return max(_DELIMITERS, key=header.count)


def _rows(stream: TextIO, delimiter: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Every row that is not blank, or why it is none, with the line on which it begins."""
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, error  # the reader goes on with the next line
            continue
        if row:
            yield line, row


def _check_header(source: Source, header: list[str]) -> None:
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise LoadError(f"the header names {', '.join(sorted(repeated))!r} more than once")
    missing = missing_fields(source.fields, header)
    if missing:
        raise LoadError(
            describe_missing(missing, header), "name the column that holds it with --text-field"
        )
