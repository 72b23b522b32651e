"""JSON lines: one object a line, one document an object."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from json import JSONDecodeError
from typing import NoReturn

from ragcli.corpus.loaders.encoding import marked_encoding
from ragcli.corpus.loaders.record import BadRecord, Record, documents
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield a document for every object and a ``Problem`` for every broken line, as a stream.

    JSON is UTF-8; a byte order mark may say UTF-16. Raises ``LoadError`` when the file does not
    keep to what its mark says.
    """
    return documents(source, _records(source))


def _records(source: Source) -> Iterator[Record | BadRecord]:
    encoding = marked_encoding(source.file) or "utf-8"
    # Bytes that are not UTF-8 become surrogates, so that they spoil their own line only.
    with source.file.open(encoding=encoding, errors="surrogateescape", newline="\n") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _record(number, line)
        except UnicodeError as error:
            raise LoadError(f"not valid {encoding} text") from error


def _record(number: int, line: str) -> Record | BadRecord:
    if not line.isascii() and _has_stray_bytes(line):
        return BadRecord(number, "not valid UTF-8")
    try:
        value = json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except JSONDecodeError as error:
        return BadRecord(number, f"not valid JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return BadRecord(number, f"not usable JSON: {error}")
    if not isinstance(value, dict):
        return BadRecord(number, "not a JSON object")
    return Record(number, value)


def _has_stray_bytes(line: str) -> bool:
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large a number")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
