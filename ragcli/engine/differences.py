"""What a record and a second reading of it have not in common, one difference each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ragcli.engine.record_format import (
    Record,
    RecordedIndex,
    RecordedModel,
    RecordedModels,
    RecordedPassage,
    text_digest,
)
from ragcli.records import ScoredPassage, StoredPassage

if TYPE_CHECKING:
    from ragcli.engine.asking import IndexState, Reading
    from ragcli.reader import Reader
    from ragcli.reader.confidence import Calibration
    from ragcli.store import Index

TOLERANCE = 0.02
"""Confidences and shares that differ by less count as equal.

The reader rounds otherwise in another batch (by up to 0.006 in what we measured) and in another
number format (by up to 0.012 between bfloat16 and float32).
"""

SCORE_TOLERANCE = 0.005
"""Passages whose scores lay nearer to each other may change places, for the same reason."""

_REVISION_LENGTH = 12

PassageKey = tuple[str, str, int]
"""What a passage goes by: its document's id, its text's SHA-256, how often both came before."""


class Version(Protocol):
    """A model's name and revision."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def revision(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: what ``kind`` of thing, and in words what it was and is."""

    kind: str
    detail: str

    @classmethod
    def of_model(cls, role: str, then: Version, now: Version) -> Difference:
        """A model that was another one then."""
        old, new = (f"{model.name}@{model.revision[:_REVISION_LENGTH]}" for model in (then, now))
        return cls("model changed", f"{role} {old} → {new}")


def model_differences(
    then: RecordedModels, reader: Reader, calibration: Calibration, *, tell_arithmetic: bool
) -> Iterator[Difference]:
    """Compare the models that read; another number format is told only where it may matter."""
    now = reader.fingerprint
    if then.reader != RecordedModel(now.name, now.revision):
        yield Difference.of_model("reader", then.reader, now)
    if then.calibration != calibration.revision:
        old, new = (text[:_REVISION_LENGTH] for text in (then.calibration, calibration.revision))
        yield Difference("model changed", f"calibration {old} → {new}")
    if tell_arithmetic and then.arithmetic != reader.arithmetic:
        yield Difference("model changed", f"arithmetic {then.arithmetic} → {reader.arithmetic}")


def index_differences(
    then: RecordedIndex, now: IndexState, made_by: Mapping[str, int | str]
) -> Iterator[Difference]:
    """Compare two states of an index, or two indexes."""
    for name, value in made_by.items():
        if then.fingerprint.get(name) != value:
            told = f"{name.replace('_', ' ')} {then.fingerprint.get(name)} → {value}"
            yield Difference("index changed", told)
    if then.lineage != now.lineage:
        yield Difference("index changed", "it is another index, or was rebuilt")
    elif then.generation != now.generation:
        yield Difference("index changed", f"generation {then.generation} → {now.generation}")


# -- passages --------------------------------------------------------------------------------


def keys_of_record(record: Record) -> list[PassageKey]:
    """What the record's passages go by, by rank."""
    return _keys((passage.document_id, passage.sha256) for passage in record.passages)


def keys_of_hits(hits: Sequence[ScoredPassage]) -> list[PassageKey]:
    """What found passages go by, by rank."""
    return _keys((hit.stored.document_id, text_digest(hit.stored.passage.text)) for hit in hits)


def _keys(pairs: Iterator[tuple[str, str]]) -> list[PassageKey]:
    seen = Counter[tuple[str, str]]()
    keys = []
    for pair in pairs:
        keys.append((*pair, seen[pair]))
        seen[pair] += 1
    return keys


def same_but_for_ties(record: Record, hits: Sequence[ScoredPassage]) -> bool:
    """Whether the same passages were found, none further from its rank than a tie allows."""
    then, now = keys_of_record(record), keys_of_hits(hits)
    return sorted(then) == sorted(now) and not list(_moves(record, then, now))


def passage_differences(
    record: Record, hits: Sequence[ScoredPassage], index: Index | None
) -> Iterator[Difference]:
    """Compare the passages read with those found now; ``index`` tells what became of others."""
    then, now = keys_of_record(record), keys_of_hits(hits)
    found = dict(zip(now, hits, strict=True))
    new = {_spot_of_hit(hit): hit for key, hit in found.items() if key not in then}
    for key, passage in zip(then, record.passages, strict=True):
        if key in found:
            yield from _shift(passage, found[key].stored.passage.start)
        elif (edited := new.pop(_spot(passage), None)) is not None:
            told = f"{_place(passage)} has another text"
            at = "" if edited.rank == passage.rank else f", read at rank {edited.rank}"
            yield Difference("passage changed", f"{told}{at}")
        else:
            yield _missing(passage, index)
    yield from _moves(record, then, now)
    for hit in new.values():
        told = f"{_hit_place(hit.stored)} is now read, at rank {hit.rank}"
        yield Difference("ranking changed", told)


def _spot(passage: RecordedPassage) -> tuple[str, int]:
    return passage.document_id, passage.start


def _spot_of_hit(hit: ScoredPassage) -> tuple[str, int]:
    return hit.stored.document_id, hit.stored.passage.start


def _shift(passage: RecordedPassage, start: int) -> Iterator[Difference]:
    """The same text, further up or down in its document."""
    if start != passage.start:
        told = f"{_place(passage)} begins at character {start}, not {passage.start}; same text"
        yield Difference("passage changed", told)


def _missing(passage: RecordedPassage, index: Index | None) -> Difference:
    """What became of a passage that is not found any more."""
    place = _place(passage)
    if index is None:
        return Difference("passage changed", f"{place}: the contexts are cut or chosen otherwise")
    held = index.document_passages(passage.document_id)
    if not held:
        return Difference("passage gone", f"{place}: its document is not in the index any more")
    if any(text_digest(stored.passage.text) == passage.sha256 for stored in held):
        return Difference("ranking changed", f"{place} is not among the first any more")
    return Difference("passage changed", f"{place}: its document does not hold this text any more")


def _moves(
    record: Record, then: Sequence[PassageKey], now: Sequence[PassageKey]
) -> Iterator[Difference]:
    """Passages that stand elsewhere among those in common, ties left aside."""
    old = [key for key in then if key in now]
    new = [key for key in now if key in then]
    passages = dict(zip(then, record.passages, strict=True))
    for key, other in zip(old, new, strict=True):
        passage = passages[key]
        if key != other and not _is_tie(passage, passages[old[new.index(key)]]):
            ranks = f"rank {passage.rank} → {now.index(key) + 1}"
            yield Difference("ranking changed", f"{_place(passage)} {ranks}")


def _is_tie(one: RecordedPassage, other: RecordedPassage) -> bool:
    if one.score is None or other.score is None:
        return False
    return abs(one.score - other.score) <= SCORE_TOLERANCE


def _place(passage: RecordedPassage) -> str:
    return _named(passage.path, passage.line, passage.page)


def _hit_place(stored: StoredPassage) -> str:
    return _named(stored.path, stored.passage.line, stored.passage.page)


def _named(path: str, line: int | None, page: int | None) -> str:
    if page is not None:
        return f"{path} p. {page}"
    return path if line is None else f"{path}:{line}"


# -- answers ---------------------------------------------------------------------------------


def reading_differences(
    record: Record, reading: Reading, keys: Sequence[PassageKey]
) -> tuple[Difference, ...]:
    """Compare a record with a reading of the passages that go by ``keys``.

    Where the answer is another one, its confidence and attribution are as a matter of course.
    """
    then, now = _answer(record.answer), _answer(reading.text)
    if then != now:
        old, new = f"{then} ({record.confidence:.2f})", f"{now} ({reading.confidence:.2f})"
        return (Difference("answer changed", f"{old} → {new}"),)
    found = []
    if abs(record.confidence - reading.confidence) > TOLERANCE:
        told = f"{record.confidence:.2f} → {reading.confidence:.2f}"
        found.append(Difference("confidence changed", told))
    source, difference = _largest(_recorded_shares(record), _shares(reading, keys))
    if difference > TOLERANCE:
        told = f"by up to {difference:.2f}, of {_source_name(record, source)}"
        found.append(Difference("attribution changed", told))
    return tuple(found)


def _source_name(record: Record, source: Source) -> str:
    if source is None:
        return "the reader's own words"
    places = map(_place, record.passages)
    named = dict(zip(keys_of_record(record), places, strict=True))
    return named.get(source, "a passage that was not read then")


def _answer(text: str | None) -> str:
    return "no answer" if text is None else f"“{text}”"


Source = PassageKey | None
"""A passage, or ``None`` for the vocabulary."""

Shares = dict[tuple[Source, str, int, int], float]
"""A share or weight, by its source, what has it, and where in the source that stands."""


def _largest(then: Shares, now: Shares) -> tuple[Source, float]:
    """The largest difference of a share, and the source it is of."""
    differences = {
        name: abs(then.get(name, 0.0) - now.get(name, 0.0))
        for name in sorted(then.keys() | now.keys(), key=repr)
    }
    name = max(differences, key=lambda name: differences[name])
    return name[0], differences[name]


def _recorded_shares(record: Record) -> Shares:
    keys = dict(enumerate(keys_of_record(record), start=1))
    starts = {passage.rank: passage.start for passage in record.passages}
    shares: Shares = {(None, "passage", 0, 0): record.vocabulary_share}
    for passage in record.passages:
        shares[keys[passage.rank], "passage", 0, 0] = passage.attribution
    for sentence in record.sentences:
        offset = starts[sentence.passage]
        start, end = sentence.start - offset, sentence.end - offset
        shares[keys[sentence.passage], "sentence", start, end] = sentence.attribution
    for number, token in enumerate(record.tokens):
        source, start = None, 0
        if token.passage is not None and token.start is not None:
            source, start = keys[token.passage], token.start - starts[token.passage]
        shares[source, f"token {token.text}", number, start] = token.weight
    return shares


def _shares(reading: Reading, keys: Sequence[PassageKey]) -> Shares:
    attribution = reading.attribution
    shares: Shares = {(None, "passage", 0, 0): attribution.vocabulary}
    for key, share in zip(keys, attribution.contexts, strict=True):
        shares[key, "passage", 0, 0] = share
    for sentence in attribution.sentences:
        key = keys[sentence.context]
        shares[key, "sentence", sentence.start, sentence.end] = sentence.share
    for number, token in enumerate(attribution.tokens):
        source = None if token.context is None else keys[token.context]
        shares[source, f"token {token.text}", number, token.start or 0] = token.weight
    return shares
