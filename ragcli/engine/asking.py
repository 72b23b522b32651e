"""The use case ``ask``: a question → passages → the reader's answer → what it is owed to."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.attribution import (
    DEFAULT_METHOD,
    METHODS,
    answer_focus,
    attribute,
    head_focus,
    share_words,
)
from ragcli.engine.encoders import check_requested, load_named, models_of, shipped_reader
from ragcli.engine.explaining import check_heads
from ragcli.engine.given import passages_of
from ragcli.engine.paths import StoredPaths
from ragcli.engine.verifying import Verifier
from ragcli.errors import UsageError
from ragcli.reader.confidence import DEFAULT_MIN_CONFIDENCE, Calibration, shipped_calibration
from ragcli.reader.model import SHORT, beams_of
from ragcli.records import (
    Answer,
    Attribution,
    Generation,
    Question,
    ScoredPassage,
    Verification,
)
from ragcli.retrieval.filters import NO_FILTERS, Filters
from ragcli.retrieval.models import Models
from ragcli.retrieval.ranking import DEFAULT_RANKING, Ranking
from ragcli.retrieval.search import search_passages
from ragcli.retrieval.tuned import tuned_of

if TYPE_CHECKING:
    from ragcli.encoder import EncoderFingerprint
    from ragcli.reader import Reader, ReaderFingerprint
    from ragcli.reader.ablation import AnsweredMemory
    from ragcli.store import Index, IndexFingerprint

DEFAULT_K = 5
BATCH_SIZE = 16
"""Questions read together; the first answers of a stream come after as many."""


@dataclass(frozen=True, slots=True)
class AskOptions:
    """How to answer: passages, their ranking, least confidence in [0, 1], reading, head report.

    ``form`` is a short answer, or the sentence that holds it; ``beams`` is how many beginnings of
    an answer are carried on side by side. With ``verify``, answers are tried without what they are
    owed to; with ``explain``, it is told what each of their words looked at, in the mean of the
    decoder's layers and heads or in the ``layer`` and ``head`` named here, counted from 1; with
    ``word_shares``, what each of them is owed to, word by word.
    """

    k: int = DEFAULT_K
    min_confidence: float = DEFAULT_MIN_CONFIDENCE
    ranking: Ranking = DEFAULT_RANKING
    filters: Filters = NO_FILTERS
    method: str = DEFAULT_METHOD
    form: str = SHORT
    beams: int | None = None
    heads: bool = False
    verify: bool = False
    explain: bool = False
    layer: int | None = None
    head: int | None = None
    word_shares: bool = False
    encoder_name: str | None = None
    seen_from: Path | None = None
    context_name: str = "context"

    def __post_init__(self) -> None:
        """Raise ``UsageError`` for a reading, a form or beams that do not exist."""
        if self.method not in METHODS:
            raise UsageError(
                f"unknown attribution {self.method!r}", f"choose one of: {', '.join(METHODS)}"
            )
        beams_of(self.form, self.beams)

    @property
    def n_beams(self) -> int:
        """The ``beams``, by default those of the form."""
        return beams_of(self.form, self.beams)


@dataclass(frozen=True, slots=True)
class IndexState:
    """Which index passages were found in, as of which commit; see ``store.Index``."""

    folder: Path
    lineage: str
    generation: int
    fingerprint: IndexFingerprint


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer rests on beside its passages: enough to find and to read them again.

    ``options`` are those in force, their ranking spelled out. ``index`` is ``None`` for a question
    that brought its contexts, ``encoder`` where none took part. ``calibration`` is the revision of
    the confidence's coefficients, ``arithmetic`` the number format of the reader's encoder.
    """

    options: AskOptions
    index: IndexState | None
    encoder: EncoderFingerprint | None
    reader: ReaderFingerprint
    calibration: str
    arithmetic: str


def ask(
    folder: Path | None, questions: Iterable[Question], options: AskOptions
) -> Iterator[Answer]:
    """Yield an answer for every question, in order; ``questions`` is read a batch at a time.

    ``folder`` is the index folder; ``None`` will do when every question brings its contexts.
    Raises ``IndexMismatchError`` for an index of another encoder, ``ModelError`` for weights that
    cannot be loaded and ``UsageError`` for a layer or head that the reader has not.
    """
    return (answer for answer, _ in ask_with_basis(folder, questions, options))


def ask_with_basis(
    folder: Path | None, questions: Iterable[Question], options: AskOptions
) -> Iterator[tuple[Answer, Basis]]:
    """Do as ``ask`` does, and tell what each answer rests on."""
    with ExitStack() as stack:
        finder = PassageFinder(stack, folder, options)
        remaining = iter(questions)
        calibration = shipped_calibration(options.form)
        while batch := list(islice(remaining, BATCH_SIZE)):
            started = time.perf_counter()
            found = finder.find(batch)
            retrieved = time.perf_counter()
            reader = shipped_reader()
            _check_heads(options, reader)
            texts = [[hit.stored.passage.text for hit in hits] for hits in found]
            loaded = time.perf_counter()
            read = {
                n: (generation, memory if options.verify else None)
                for n, generation, memory in reader.read(
                    [q.text for q in batch], texts, form=options.form, beams=options.beams
                )
            }
            timings = {
                "retrieval": (retrieved - started) / len(batch),
                "loading": (loaded - retrieved) / len(batch),
                "reading": (time.perf_counter() - loaded) / len(batch),
            }
            models = {
                "encoder": finder.encoder_label,
                "reader": f"{reader.fingerprint.name}@{reader.fingerprint.revision[:12]}",
            }
            circumstances = _Circumstances(options, reader, calibration, models, timings)
            for n, (question, hits) in enumerate(zip(batch, found, strict=True)):
                generation, memory = read.get(n) or (Generation.empty(), None)
                basis = Basis(
                    replace(options, ranking=finder.ranking.spelled_out),
                    finder.index_state if question.contexts is None else None,
                    finder.encoder_for(question, hits),
                    reader.fingerprint,
                    calibration.revision,
                    reader.arithmetic,
                )
                yield circumstances.answer(question, hits, generation, memory), basis


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader makes of passages; ``text`` is ``None`` where it is not sure enough."""

    text: str | None
    confidence: float
    attribution: Attribution

    @classmethod
    def of(
        cls,
        generation: Generation,
        texts: Sequence[str],
        calibration: Calibration,
        options: AskOptions,
    ) -> Reading:
        """Judge and attribute what was generated from ``texts``."""
        attribution = attribute(generation, texts, options.method)
        confidence = calibration.confidence(generation)
        return cls(decide(generation, calibration, options), confidence, attribution)


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What the answers of one batch have in common."""

    options: AskOptions
    reader: Reader
    calibration: Calibration
    models: dict[str, str]
    timings: dict[str, float]

    def answer(
        self,
        question: Question,
        hits: Sequence[ScoredPassage],
        generation: Generation,
        memory: AnsweredMemory | None,
    ) -> Answer:
        started = time.perf_counter()
        texts = [hit.stored.passage.text for hit in hits]
        reading = Reading.of(generation, texts, self.calibration, self.options)
        heads = head_focus(generation, texts) if self.options.heads else ()
        focus = word_shares = None
        if self.options.explain and reading.text is not None:
            focus = replace(
                answer_focus(generation, texts), layer=self.options.layer, head=self.options.head
            )
        if self.options.word_shares and reading.text is not None:
            word_shares = share_words(generation, texts, reading.attribution)
        spent = {**self.timings, "attribution": time.perf_counter() - started}
        verification = None
        if memory is not None and reading.text is not None:
            started = time.perf_counter()
            verification = self._verify(question, texts, generation, memory, reading)
            spent["verification"] = time.perf_counter() - started
        return Answer(
            question,
            reading.text,
            reading.confidence,
            tuple(hits),
            reading.attribution,
            heads,
            self.models,
            {**spent, "total": sum(spent.values())},
            verification,
            focus,
            word_shares,
        )

    def _verify(
        self,
        question: Question,
        texts: Sequence[str],
        generation: Generation,
        memory: AnsweredMemory,
        reading: Reading,
    ) -> Verification | None:
        decided = partial(decide, calibration=self.calibration, options=self.options)
        return Verifier(self.reader, decided).verify(
            question.text, texts, generation, memory, reading.attribution
        )


def _check_heads(options: AskOptions, reader: Reader) -> None:
    sizes = reader.network.config
    check_heads(options.layer, options.head, sizes.n_decoder_layers, sizes.encoder.n_heads)


def decide(generation: Generation, calibration: Calibration, options: AskOptions) -> str | None:
    """Return what is answered of a generation, ``None`` where the reader is not sure enough."""
    is_sure = calibration.confidence(generation) >= options.min_confidence
    return generation.text if generation.text and is_sure else None


class PassageFinder:
    """Finds what the reader is to read: in the index, or in the contexts a question brings."""

    def __init__(self, stack: ExitStack, folder: Path | None, options: AskOptions) -> None:
        self._stack = stack
        self._folder = folder
        self._options = options
        self._ranking = options.ranking
        self._index: Index | None = None
        self._among: frozenset[int] | None = None
        self._models = Models()

    @property
    def ranking(self) -> Ranking:
        """How passages are ranked: completed by what the index was tuned to, once it is open."""
        return self._ranking

    @property
    def index(self) -> Index | None:
        """The index, once a question was searched in it."""
        return self._index

    @property
    def index_state(self) -> IndexState | None:
        """Which index that is, and as of which commit."""
        index = self._index
        if index is None:
            return None
        return IndexState(index.folder, index.lineage, index.generation, index.fingerprint)

    def encoder_for(
        self, question: Question, hits: Sequence[ScoredPassage]
    ) -> EncoderFingerprint | None:
        """The encoder that had a part in finding a question's ``hits``, if any had."""
        if question.contexts is None:
            took_part = self._ranking.needs_encoder
        else:
            took_part = any(hit.score is not None for hit in hits)
        encoder = self._models.encoder
        return encoder.fingerprint if encoder is not None and took_part else None

    @property
    def encoder_label(self) -> str:
        """Name of the encoder in use and the start of its revision."""
        if self._models.encoder is None:
            return "none"
        fingerprint = self._models.encoder.fingerprint
        return f"{fingerprint.name}@{fingerprint.revision[:12]}"

    def find(self, questions: Sequence[Question]) -> list[list[ScoredPassage]]:
        """At most ``k`` passages a question, best first."""
        searched = [question for question in questions if question.contexts is None]
        hits = iter(self._search([question.text for question in searched]))
        return [
            next(hits) if question.contexts is None else self._choose(question)
            for question in questions
        ]

    def _search(self, queries: Sequence[str]) -> list[list[ScoredPassage]]:
        if not queries:
            return []
        from ragcli.store import Index, locate_index

        folder = self._folder or locate_index(None, self._options.seen_from or Path.cwd())
        paths = StoredPaths(folder.resolve(), (self._options.seen_from or Path.cwd()).resolve())
        if self._index is None:
            self._index = self._stack.enter_context(Index.open(folder))
            self._among = self._options.filters.select(self._index, paths.shown)
            self._ranking = tuned_of(self._index).complete(self._ranking)
            self._models = models_of(
                self._index.fingerprint, self._options.encoder_name, self._ranking
            )
        k = self._options.k
        found = search_passages(
            self._index, self._models, queries, k, self._ranking, among=self._among
        )
        return [list(map(paths.of_hit, hits)) for hits in found]

    def _choose(self, question: Question) -> list[ScoredPassage]:
        """All passages of the question's own contexts, or the ``k`` nearest to it."""
        passages = passages_of(question.contexts or (), self._options.context_name)
        k = self._options.k
        if len(passages) <= k:
            return [ScoredPassage(stored, None, n) for n, stored in enumerate(passages, start=1)]
        if self._index is not None:
            check_requested(self._index.fingerprint, self._options.encoder_name)
        encoder = self._models.encoder or load_named(self._options.encoder_name)
        self._models = replace(self._models, encoder=encoder)
        vectors = encoder.encode_passages([stored.passage.text for stored in passages])
        scores = vectors @ encoder.encode_queries([question.text])[0]
        best = sorted(range(len(passages)), key=lambda n: (-scores[n], n))[:k]
        return [
            ScoredPassage(passages[n], float(scores[n]), rank)
            for rank, n in enumerate(best, start=1)
        ]
