"""JSON: a list of records, or the readable text of anything else, every value with its path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragcli.corpus.loaders import jsonl
from ragcli.corpus.loaders.builder import LINE_GAP, PARAGRAPH_GAP, TextBuilder
from ragcli.corpus.loaders.encoding import read_text
from ragcli.corpus.loaders.record import DEFAULT_TEXT_FIELD, Record, documents
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document, Json

_BLANKS = re.compile(r"[ \t\r\n]*")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_LONGEST_KEY = 80
_LONGEST_PATH = 120
_LONGEST_INTEGER = 300  # digits; Python refuses to print more than a few thousand
_FEWEST_WITH_TEXT = 0.5


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield a document for every record, or the file as one document.

    A list of objects of which at least half have the field of the text is made of records, as
    JSON lines are. All else reads ``path.to[0].value: words``, a line for every value. A file
    that holds JSON lines is read as such. One that is not valid JSON is a ``Problem`` and is read
    as it is written, so that no word is lost; raises ``LoadError`` when it is not text.
    """
    decoded = read_text(source.file)
    text = decoded.text
    if _is_lines(text):
        yield from jsonl.load(source)
        return
    yield from source.problems(decoded.flaw)
    try:
        values = list(_values(text))
    except (ValueError, RecursionError) as error:
        yield from source.problems(f"not valid JSON, read as it is written: {_reason(error)}")
        yield source.document(text, first_line=1)
        return
    records = _records(source, values)
    if records is not None:
        yield from documents(source, records)
    else:
        yield _document(source, values, is_list=text.lstrip().startswith("["))


@dataclass(frozen=True, slots=True)
class _Value:
    """A value and the line, 1-based, on which it begins."""

    line: int
    value: Json


def _values(text: str) -> Iterator[_Value]:
    """The items of the list that ``text`` is, or the one value that it is otherwise."""
    decoder = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=str)
    at = _past_blanks(text, 0)
    if at == len(text):
        return
    if text[at] != "[":
        value, end = decoder.raw_decode(text, at)
        yield _Value(1, value)
        _expect_end(text, end)
        return
    at = _past_blanks(text, at + 1)
    line, counted = 1, 0
    closed = text.startswith("]", at)
    while not closed:
        value, end = decoder.raw_decode(text, at)
        line, counted = line + text.count("\n", counted, at), at
        yield _Value(line, value)
        at = _past_blanks(text, end)
        closed = text.startswith("]", at)
        if not closed:
            if not text.startswith(",", at):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            at = _past_blanks(text, at + 1)
    _expect_end(text, at + 1)


def _past_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


def _expect_end(text: str, at: int) -> None:
    if _past_blanks(text, at) != len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _number(digits: str) -> float | int | str:
    """The number, or its digits where it is none that metadata can hold."""
    if len(digits) > _LONGEST_INTEGER:
        return digits
    if digits.lstrip("-").isdecimal():
        return int(digits)
    number = float(digits)
    return digits if math.isinf(number) else number


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _is_lines(text: str) -> bool:
    """Whether the first line is an object of its own and another one follows."""
    first, _, rest = text.lstrip().partition("\n")
    if not (first.startswith("{") and rest.lstrip().startswith("{")):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _records(source: Source, values: list[_Value]) -> list[Record] | None:
    """The records that the values are, ``None`` when they are none."""
    field = source.fields.text or DEFAULT_TEXT_FIELD
    records = [
        Record(found.line, found.value, number)
        for number, found in enumerate(values, start=1)
        if isinstance(found.value, dict)
    ]
    with_text = sum(field in record.values for record in records)
    is_made_of_records = len(records) == len(values) and with_text > 0
    return records if is_made_of_records and with_text >= _FEWEST_WITH_TEXT * len(records) else None


def _document(source: Source, values: list[_Value], *, is_list: bool) -> Document:
    top: Json = [found.value for found in values]
    if not is_list:
        top = values[0].value if values else ""
    return source.document(
        _NO_TEXT.sub("\ufffd", readable(top)),
        title=_NO_TEXT.sub("\ufffd", _title(top)),
    )


def _title(top: Json) -> str:
    if not isinstance(top, dict):
        return ""
    named = next((top[key] for key in ("title", "name") if key in top), "")
    return " ".join(named.split()) if isinstance(named, str) else ""


def readable(top: Json) -> str:
    """Every value on a line with the path of keys to it; an object begins a paragraph."""
    builder = TextBuilder()
    gap = LINE_GAP
    stack: list[tuple[str, Json]] = [("", top)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            gap = PARAGRAPH_GAP
            stack.extend((_below(path, key), item) for key, item in reversed(value.items()))
        elif isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
            numbered = enumerate(value)
            stack.extend(reversed([(f"{path}[{n}]", item) for n, item in numbered]))
        else:
            words = ", ".join(map(_words, value)) if isinstance(value, list) else _words(value)
            if words.strip():
                builder.add(f"{path}: {words}" if path else words, gap)
                gap = LINE_GAP
    return builder.text


def _below(path: str, key: str) -> str:
    """The path of a key, so short that paths do not outgrow the file."""
    longer = f"{path}.{key[:_LONGEST_KEY]}" if path else key[:_LONGEST_KEY]
    return longer if len(longer) <= _LONGEST_PATH else f"…{longer[1 - _LONGEST_PATH :]}"


def _words(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
