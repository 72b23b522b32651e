"""Batches of queries and questions: plain lines, or JSON lines with a text and an id."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from ragcli.corpus.problem import Problem
from ragcli.errors import InputError
from ragcli.records import Json, Question

ID_KEYS = ("id", "_id")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a batch: its text, its id, and the whole JSON object it came in, if any.

    A plain line's id is its line number.
    """

    text: str
    row_id: str
    fields: Mapping[str, Json] = field(default_factory=dict)


@contextmanager
def open_text(file: Path) -> Iterator[TextIO]:
    """Open a text file, decompressing a ``.gz`` one; raises ``InputError`` for what is neither."""
    try:
        with (
            gzip.open(file, "rt", encoding="utf-8-sig")
            if file.suffix == ".gz"
            else file.open(encoding="utf-8-sig") as lines
        ):
            yield lines
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{file}: {getattr(error, 'strerror', None) or error}") from error


def read_rows(lines: Iterable[str], name: str, text_keys: Sequence[str]) -> Iterator[Row | Problem]:
    """Yield each line that is not blank as a row, in order, as soon as it is read.

    A line that cannot be meant is a ``Problem``. ``name`` is the input's name in messages,
    ``text_keys`` the keys that may hold the text, of which the first present one counts.
    """
    for number, line in enumerate(lines, start=1):
        content = line.strip().lstrip("\ufeff")
        if content:
            try:
                row = parse_row(content, number, text_keys)
                if not row.text.strip():
                    raise InputError(_no_text(text_keys))
                yield row
            except InputError as error:
                yield Problem(f"{name}:{number}", error.message)


def read_questions(lines: Iterable[str], name: str) -> Iterator[Question | Problem]:
    """Yield the question of each line, with the ``contexts`` it brings, if any."""
    for row in read_rows(lines, name, ("question", "text")):
        if isinstance(row, Problem):
            yield row
            continue
        contexts = row.fields.get("contexts")
        if contexts is None:
            yield Question(row.text, row.row_id)
        elif isinstance(contexts, list) and all(map(_is_text, contexts)):
            yield Question(row.text, row.row_id, tuple(map(str, contexts)))
        else:
            yield Problem(f"{name}: question {row.row_id}", "contexts are not a list of texts")


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and _is_unicode(value)


def parse_row(content: str, number: int, text_keys: Sequence[str]) -> Row:
    """Read one line, whose text may be blank.

    Raises ``InputError`` when it opens like JSON and cannot be meant.
    """
    if not _is_unicode(content):
        raise InputError("is not UTF-8")
    if not content.startswith("{"):
        return Row(content, str(number))
    fields = _parse_object(content)
    text = next((fields[key] for key in text_keys if key in fields), None)
    if not isinstance(text, str) or not _is_unicode(text):
        raise InputError(_no_text(text_keys))
    row_id = next((fields[key] for key in ID_KEYS if key in fields), None)
    if isinstance(row_id, list | dict):
        raise InputError("has an id that is neither a text nor a number")
    return Row(text, str(number) if row_id is None else str(row_id), fields)


def _no_text(text_keys: Sequence[str]) -> str:
    return f"has no text under {' or '.join(map(repr, text_keys))}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parse_object(content: str) -> dict[str, Json]:
    try:
        parsed: dict[str, Json] = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid JSON: {error}") from error
    return parsed


def as_unicode(text: str) -> str:
    """Replace what is no character, such as the odd bytes of an argument, by ``?``."""
    return text.encode("utf-8", "replace").decode("utf-8")
