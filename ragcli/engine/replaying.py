"""The use case ``replay``: records of answers → what a second reading gives, and what differs.

Every record is read twice: from the passages that it holds, which shows whether the models still
give the answer, and from the passages that its question finds now, which shows whether the
documents still do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from ragcli.engine.asking import BATCH_SIZE, AskOptions, PassageFinder, Reading
from ragcli.engine.differences import (
    Difference,
    PassageKey,
    index_differences,
    keys_of_hits,
    keys_of_record,
    model_differences,
    passage_differences,
    reading_differences,
    same_but_for_ties,
)
from ragcli.engine.encoders import shipped_reader
from ragcli.engine.record_format import Record, StoredRecord
from ragcli.engine.recording import options_of
from ragcli.errors import IndexMissingError, ModelError, RagcliError, UsageError
from ragcli.reader.confidence import shipped_calibration
from ragcli.records import Question, ScoredPassage


@dataclass(frozen=True, slots=True)
class Rereading:
    """What reading a record's question once more gives, and how that differs from the record."""

    answer: str | None
    confidence: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a record.

    ``recorded_passages`` is the reading of the passages that it holds, ``present_passages`` of
    those that its question finds now; ``None`` where that could not be done. ``differences`` are
    all but those of ``recorded_passages`` alone; without any, the record is identical.
    """

    stored: StoredRecord
    differences: tuple[Difference, ...]
    recorded_passages: Rereading | None
    present_passages: Rereading | None

    @property
    def is_reproducible(self) -> bool:
        """Whether the passages of the record still give its answer and attribution."""
        return self.recorded_passages is not None and not self.recorded_passages.differences

    @property
    def is_identical(self) -> bool:
        """Whether everything is as it was recorded."""
        return self.is_reproducible and not self.differences


def replay(records: Iterable[StoredRecord], folder: Path | None = None) -> Iterator[Replay]:
    """Yield what became of every record, in order; ``records`` is read a batch at a time.

    ``folder`` is searched instead of the index folders that the records name. Raises
    ``IndexMissingError`` when there is no index in it, and ``ModelError`` for a reader that cannot
    be loaded.
    """
    from ragcli.store import holds_index

    if folder is not None and not holds_index(folder):
        raise IndexMissingError(f"no index in {folder}", "name another folder with --index")
    with ExitStack() as stack:
        replayer = _Replayer(stack, folder)
        remaining = iter(records)
        while batch := list(islice(remaining, BATCH_SIZE)):
            yield from replayer.replay(batch)


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a record's question finds now: passages, or why there are none, and what changed."""

    hits: tuple[ScoredPassage, ...] | None
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A record with the options to ask its question with again, and the index to search."""

    stored: StoredRecord
    options: AskOptions
    folder: Path | None

    @property
    def record(self) -> Record:
        return self.stored.record

    @property
    def question(self) -> Question:
        asked = self.record.question
        return Question(asked.text, asked.id, asked.contexts)


class _Replayer:
    def __init__(self, stack: ExitStack, folder: Path | None) -> None:
        self._stack = stack
        self._folder = folder
        self._reader = shipped_reader()
        self._finders: dict[object, PassageFinder | RagcliError] = {}

    def replay(self, batch: Sequence[StoredRecord]) -> Iterator[Replay]:
        planned = [self._plan(stored) for stored in batch]
        plans = [plan for plan in planned if isinstance(plan, _Plan)]
        texts = [[passage.text for passage in plan.record.passages] for plan in plans]
        recorded = self._reread(plans, texts, [keys_of_record(plan.record) for plan in plans])
        findings = self._find(plans)
        present = self._reread_present(plans, findings, recorded)
        done = map(self._conclude, plans, findings, recorded, present)
        for plan in planned:
            yield plan if isinstance(plan, Replay) else next(done)

    def _plan(self, stored: StoredRecord) -> _Plan | Replay:
        index = stored.record.index
        folder = None if index is None else self._folder or Path(index.folder)
        try:
            return _Plan(stored, options_of(stored.record, folder), folder)
        except UsageError as error:
            unknown = Difference("settings unknown", error.message)
            return Replay(stored, (*_damage(stored), unknown), None, None)

    # -- the passages as they are now ------------------------------------------------------

    def _find(self, plans: Sequence[_Plan]) -> list[_Finding]:
        """Search again; questions of the same settings and index are searched together."""
        groups: dict[object, list[int]] = {}
        for number, plan in enumerate(plans):
            groups.setdefault(_group(plan), []).append(number)
        found: dict[int, _Finding] = {}
        for key, numbers in groups.items():
            own = [plans[number] for number in numbers]
            found.update(zip(numbers, self._find_alike(key, own), strict=True))
        return [found[number] for number in range(len(plans))]

    def _find_alike(self, key: object, plans: Sequence[_Plan]) -> list[_Finding]:
        finder = self._finders.get(key)
        if isinstance(finder, RagcliError):
            return [_not_found(finder)] * len(plans)
        if finder is None:
            finder = PassageFinder(self._stack, plans[0].folder, plans[0].options)
        self._finders[key] = finder
        try:
            _check_encoder(plans[0])
            hits = finder.find([plan.question for plan in plans])
        except RagcliError as error:
            self._finders[key] = error
            return [_not_found(error)] * len(plans)
        return [
            _Finding(tuple(own), _finding_differences(plan, finder, own))
            for plan, own in zip(plans, hits, strict=True)
        ]

    # -- reading ---------------------------------------------------------------------------

    def _reread(
        self,
        plans: Sequence[_Plan],
        texts: Sequence[Sequence[str]],
        keys: Sequence[Sequence[PassageKey]],
    ) -> list[Rereading]:
        """Read each plan's question in ``texts``, whose passages go by ``keys`` in comparisons."""
        rereadings: dict[int, Rereading] = {}
        for form, beams in {(plan.options.form, plan.options.beams) for plan in plans}:
            some = [
                n
                for n, plan in enumerate(plans)
                if (plan.options.form, plan.options.beams) == (form, beams)
            ]
            questions, contexts = [plans[n].question.text for n in some], [texts[n] for n in some]
            generations = self._reader.generate(questions, contexts, form=form, beams=beams)
            for n, generation in zip(some, generations, strict=True):
                options = plans[n].options
                reading = Reading.of(generation, texts[n], shipped_calibration(form), options)
                differences = reading_differences(plans[n].record, reading, keys[n])
                rereadings[n] = Rereading(reading.text, reading.confidence, differences)
        return [rereadings[n] for n in range(len(plans))]

    def _reread_present(
        self,
        plans: Sequence[_Plan],
        findings: Sequence[_Finding],
        recorded: Sequence[Rereading],
    ) -> list[Rereading | None]:
        """Read what was found; the same passages as in the record are not read twice."""
        rereadings: list[Rereading | None] = []
        other: list[int] = []
        for number, (plan, finding) in enumerate(zip(plans, findings, strict=True)):
            if finding.hits is None:
                rereadings.append(None)
                continue
            rereadings.append(recorded[number])
            if plan.stored.damage or not same_but_for_ties(plan.record, finding.hits):
                other.append(number)
        hits = [findings[number].hits or () for number in other]
        texts = [[hit.stored.passage.text for hit in own] for own in hits]
        own_plans = [plans[number] for number in other]
        reread = self._reread(own_plans, texts, [keys_of_hits(own) for own in hits])
        for number, rereading in zip(other, reread, strict=True):
            rereadings[number] = rereading
        return rereadings

    def _conclude(
        self, plan: _Plan, finding: _Finding, recorded: Rereading, present: Rereading | None
    ) -> Replay:
        decisive = recorded if present is None else present
        models = model_differences(
            plan.record.models,
            self._reader,
            shipped_calibration(plan.options.form),
            tell_arithmetic=bool(recorded.differences),
        )
        differences = (*_damage(plan.stored), *models, *finding.differences, *decisive.differences)
        return Replay(plan.stored, differences, recorded, present)


def _damage(stored: StoredRecord) -> tuple[Difference, ...]:
    return tuple(Difference("record damaged", damage) for damage in stored.damage)


def _group(plan: _Plan) -> object:
    """What plans must have in common to be searched together."""
    return plan.record.settings, plan.folder, plan.options.seen_from, plan.options.encoder_name


def _check_encoder(plan: _Plan) -> None:
    """Raise ``ModelError`` for an encoder that only a download could bring: no record may ask it.

    The encoder of an index was chosen by the person who made that.
    """
    from ragcli.encoder import default_fingerprint

    name = plan.options.encoder_name
    if name not in {None, default_fingerprint().name} and not Path(name or "").is_dir():
        raise ModelError(f"the encoder {name} is no folder on this machine")


def _not_found(error: RagcliError) -> _Finding:
    kind = "model changed" if isinstance(error, ModelError) else "index changed"
    remedy = "; name it with --index" if isinstance(error, IndexMissingError) else ""
    return _Finding(None, (Difference(kind, f"{error.message}{remedy}"),))


def _finding_differences(
    plan: _Plan, finder: PassageFinder, hits: Sequence[ScoredPassage]
) -> tuple[Difference, ...]:
    record = plan.record
    encoder = finder.encoder_for(plan.question, hits)
    found = list[Difference]()
    if record.models.encoder is not None and encoder is not None:
        then, now = record.models.encoder, encoder
        if (then.name, then.revision) != (now.name, now.revision):
            found.append(Difference.of_model("encoder", then, now))
    if record.index is not None and finder.index_state is not None:
        state = finder.index_state
        found += index_differences(record.index, state, asdict(state.fingerprint))
    index = finder.index if record.index is not None else None
    return (*found, *passage_differences(record, hits, index))
