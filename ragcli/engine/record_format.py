"""What a record of an answer holds, and the line of JSON that it is written as.

``docs/guide.md`` describes the keys. A record carries the text of what was read, so it can be
checked without the index, and the SHA-256 of itself and of every passage, so that damage shows.
The digests guard against accidents, not against a forger, who could compute them anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ragcli.engine.typed_json import decode
from ragcli.errors import InputError

FORMAT = "ragcli-record-1"
"""What every record opens with; a change that an older ragcli would misread raises its number."""

COPIED, VOCABULARY = "copied", "vocabulary"


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    """A question, its id in a batch, and the contexts that it brought, if any."""

    text: str
    id: str | None
    contexts: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class RecordedIndex:
    """Which index was asked, in which state, and what made it.

    ``folder`` is absolute; ``seen_from`` is where the person stood, relative to the folder that
    holds ``folder``, so that both can be moved together.
    """

    folder: str
    seen_from: str
    lineage: str
    generation: int
    fingerprint: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class RecordedSettings:
    """All settings that shaped an answer; the ranking as the index was tuned to complete it.

    ``filter`` and ``path`` are the conditions and the globs as they were given, ``encoder`` is the
    one asked for by name, ``context_name`` stands for the path of contexts that were given.
    """

    k: int
    mode: str
    fusion: str | None
    dense_weight: float | None
    rerank: bool
    per_document: int | None
    diversity: float
    filter: tuple[str, ...]
    path: tuple[str, ...]
    encoder: str | None
    context_name: str
    min_confidence: float
    attribution: str
    form: str = "short"
    beams: int = 1


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """A model's name and the SHA-256 of its weights."""

    name: str
    revision: str


@dataclass(frozen=True, slots=True)
class RecordedModels:
    """The models that took part; no ``encoder`` where none was needed to find passages.

    ``calibration`` is the SHA-256 of the confidence's coefficients, ``arithmetic`` the number
    format in which the reader's encoder computed.
    """

    encoder: RecordedModel | None
    reader: RecordedModel
    calibration: str
    arithmetic: str


@dataclass(frozen=True, slots=True)
class RecordedPassage:
    """A passage as it was read; ``attribution`` is its share of the answer.

    ``start`` and ``end`` are characters of the document, ``sha256`` is of ``text`` in UTF-8.
    """

    rank: int
    score: float | None
    path: str
    document_id: str
    passage_id: int
    start: int
    end: int
    line: int | None
    page: int | None
    attribution: float
    sha256: str
    text: str


@dataclass(frozen=True, slots=True)
class RecordedSentence:
    """A sentence of the passage of that rank, with its share; offsets are of the document."""

    passage: int
    start: int
    end: int
    text: str
    attribution: float


@dataclass(frozen=True, slots=True)
class RecordedToken:
    """A token of the answer, ``copied`` from the passage of that rank or of the ``vocabulary``."""

    text: str
    source: str
    passage: int | None
    start: int | None
    end: int | None
    weight: float


@dataclass(frozen=True, slots=True)
class RecordedTrial:
    """The answer's probability from a part of what was read, and what was answered from that."""

    probability: float
    answer: str | None
    same: bool


@dataclass(frozen=True, slots=True)
class RecordedVerification:
    """How the answer fared without what it is owed to; ``cited`` are ranks of passages."""

    verdict: str
    probability: float
    cited: tuple[int, ...]
    without_passages: RecordedTrial
    without_sentence: RecordedTrial
    passages_alone: RecordedTrial


@dataclass(frozen=True, slots=True)
class Record:
    """One answered question; ``answer`` is ``None`` where the reader abstained.

    ``verification`` is there when it was asked for; it follows from all the rest.
    """

    format: str
    recorded_at: str
    ragcli: str
    question: RecordedQuestion
    answer: str | None
    abstained: bool
    confidence: float
    vocabulary_share: float
    passages: tuple[RecordedPassage, ...]
    sentences: tuple[RecordedSentence, ...]
    tokens: tuple[RecordedToken, ...]
    verification: RecordedVerification | None
    settings: RecordedSettings
    index: RecordedIndex | None
    models: RecordedModels


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as read from a line (1-based) of a file, and what of it does not fit its digests."""

    line: int
    record: Record
    damage: tuple[str, ...]


def text_digest(text: str) -> str:
    """SHA-256 of a text in UTF-8; lone surrogates count as WTF-8 writes them."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def record_digest(fields: Mapping[str, object]) -> str:
    """SHA-256 of all keys but ``sha256``, whatever their order and spacing."""
    content = {key: value for key, value in fields.items() if key != "sha256"}
    return hashlib.sha256(
        json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def record_line(record: Record) -> str:
    """Return the record as one line of JSON, without a line break, that ends with its digest."""
    fields = asdict(record)
    fields["sha256"] = record_digest(fields)
    line = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(fields, allow_nan=False)
    return line


def parse_record(content: str, line: int = 1) -> StoredRecord:
    """Read what ``record_line`` wrote; keys that this version does not know are kept out.

    Raises ``InputError`` for what is no record of this format. Digests that do not fit are no
    error: they are named as damage.
    """
    fields = _parse_object(content)
    if fields.get("format") != FORMAT:
        raise InputError(f"is no record of the format {FORMAT}")
    record = decode(Record, fields, "record")
    _check(record)
    damage = tuple(
        f"the text of passage {passage.rank} ({passage.path}) is not the one that was read"
        for passage in record.passages
        if text_digest(passage.text) != passage.sha256
    )
    if not damage and fields.get("sha256") != record_digest(fields):
        damage = ("something in it was changed after it was written",)
    return StoredRecord(line, record, damage)


def _parse_object(content: str) -> dict[str, object]:
    try:
        content.encode()
        fields = json.loads(content)
    except UnicodeEncodeError:
        raise InputError("is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InputError("is no JSON object")
    return fields


def _check(record: Record) -> None:
    """Raise ``InputError`` for a record whose parts do not fit together."""
    ranks = [passage.rank for passage in record.passages]
    if ranks != list(range(1, len(ranks) + 1)):
        raise InputError("record.passages are not ranked 1, 2, ...")
    named = {sentence.passage for sentence in record.sentences}
    named |= {token.passage for token in record.tokens if token.passage is not None}
    if not named <= set(ranks):
        raise InputError("record names a passage that it does not hold")
    index = record.index
    if (index is None) == (record.question.contexts is None):
        raise InputError("record needs an index or contexts, and not both")
    if index is not None and "\0" in index.folder + index.seen_from:
        raise InputError("record.index names no folder")
    if record.settings.k < 1:
        raise InputError("record.settings.k is not a whole number from 1 up")
