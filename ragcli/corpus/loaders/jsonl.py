"""JSON lines: one object a line, one document an object."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from json import JSONDecodeError
from typing import NoReturn

from ragcli.corpus.loaders.encoding import detect
from ragcli.corpus.loaders.record import BadRecord, Record, documents
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.records import Document


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield a document for every object and a ``Problem`` for every broken line, as a stream.

    Raises ``LoadError`` when no encoding fits.
    """
    with source.file.open("rb") as content:
        decoding = detect(content, may_hold_nul=True)  # which spoil their own line only
    yield from source.problems(decoding.flaw)
    with source.file.open(encoding=decoding.encoding, errors="replace", newline="\n") as lines:
        yield from documents(source, _records(lines))


def _records(lines: Iterable[str]) -> Iterator[Record | BadRecord]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _record(number, line)


def _record(number: int, line: str) -> Record | BadRecord:
    try:
        value = json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except JSONDecodeError as error:
        return BadRecord(number, f"not valid JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return BadRecord(number, f"not usable JSON: {error}")
    if not isinstance(value, dict):
        return BadRecord(number, "not a JSON object")
    return Record(number, value)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large a number")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
