"""The use case ``eval attribution``: which reading of attention is faithful, by taking away.

For each question the reader answers from all its contexts. Then the likelihood of that answer is
asked for under ablations: passages are hidden exactly; sentences are hidden as well, which is an
approximation, and the sentence that a method names first is also taken out of its passage, which
is read anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragcli.attribution.ablations import (
    context_cite,
    each_removed,
    leave_one_out,
    random_ablations,
)
from ragcli.attribution.methods import METHODS, Labels, score_sources
from ragcli.attribution.shares import Sentence, context_labels, sentence_labels, sentences_of
from ragcli.encoder import Encoder, load_encoder
from ragcli.engine.evaluating import ReaderRow, read_rows, sample
from ragcli.errors import InputError
from ragcli.evaluation.answers import exact_match
from ragcli.evaluation.attribution import largest, linear_datamodelling_score, spearman
from ragcli.evaluation.ranking import confidence_interval
from ragcli.reader import Reader, load_reader
from ragcli.reader.ablation import AnsweredMemory
from ragcli.reader.shuffled import load_shuffled_reader
from ragcli.records import Generation

LEAVE_ONE_OUT, CONTEXT_CITE = REFERENCES = ("leave-one-out", "context-cite")
SIMILARITY, RANDOM = FLOORS = ("similarity", "random")
N_ABLATIONS = 64
"""Random ablations a question, on which attributions are judged."""
N_CITED = 64
"""Random ablations that ContextCite is fitted on, others than those."""
MEASURES = (
    "LDS",
    "LOO",
    "drop@1",
    "drop@3",
    "hit@1",
    "sentence_hit@1",
    "sentence_drop@1",
    "hidden_sentence_drop@1",
)

Outcomes = Callable[[NDArray[np.bool_]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class MethodScore:
    """What one method reached.

    ``values[measure]`` one a question that has it, with ``means`` and 95 % ``intervals``;
    ``seconds`` an answer, for passages and sentences together; ``shuffled`` the rank correlation of
    its scores with those of a reader of shuffled weights, ``None`` for methods that look at none.
    """

    values: Mapping[str, Sequence[float]]
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    seconds: float
    shuffled: float | None


@dataclass(frozen=True, slots=True)
class AttributionReport:
    """Scores by method over ``n`` questions, of which ``right`` were answered rightly.

    ``seconds`` is the time of one answer, retrieval left out.
    """

    methods: Mapping[str, MethodScore]
    n: int
    right: int
    seconds: float


@dataclass(slots=True)
class _Tally:
    """What is known of one method so far."""

    values: dict[str, list[float]] = field(
        default_factory=lambda: {measure: [] for measure in MEASURES}
    )
    seconds: list[float] = field(default_factory=list)
    shuffled: list[float] = field(default_factory=list)

    def score(self, n: int) -> MethodScore:
        return MethodScore(
            self.values,
            {name: float(np.mean(own)) for name, own in self.values.items() if own},
            {name: confidence_interval(own) for name, own in self.values.items() if own},
            sum(self.seconds) / n,
            float(np.mean(self.shuffled)) if self.shuffled else None,
        )


@dataclass(frozen=True, slots=True)
class _Case:
    """One question with its answer and what it was read from."""

    row: ReaderRow
    generation: Generation
    memory: AnsweredMemory
    sentences: Sequence[Sentence]
    right: bool

    def gold_contexts(self) -> set[int]:
        """Contexts that hold an accepted answer."""
        return {
            n
            for n, text in enumerate(self.row.contexts)
            if any(answer in text for answer in self.row.answers)
        }

    def gold_sentences(self) -> set[int]:
        """Sentences that do."""
        return {
            n
            for n, s in enumerate(self.sentences)
            if any(a in self.row.contexts[s.context][s.start : s.end] for a in self.row.answers)
        }

    def without_contexts(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Log-probabilities of the answer when only ``kept (K, S)`` contexts are there."""
        masks = [self.memory.without_contexts(np.flatnonzero(~one).tolist()) for one in kept]
        return self.memory.log_probabilities(masks)

    def without_sentences(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The same for sentences, hidden from the decoder."""
        each = np.stack(
            [self.memory.without_span(s.context, s.start, s.end) for s in self.sentences]
        )
        # Overlapping windows aside, a position belongs to one sentence at most.
        masks = [each[~one].all(axis=0) for one in kept]
        return self.memory.log_probabilities(masks)


def evaluate_attribution(
    files: Sequence[Path],
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AttributionReport:
    """Judge every method on the answerable rows of ``files``, or on a seeded sample of them.

    Raises ``InputError`` when there is none with two contexts or more.
    """
    rows = [row for file in files for row in read_rows(file)]
    rows = [row for row in rows if row.answers and sum(map(bool, row.contexts)) > 1]
    if not rows:
        raise InputError(
            "there is no answerable row with two contexts or more",
            "python -m ragcli.training.distractors adds contexts to rows that have one",
        )
    rows = sample(rows, limit, seed)
    reader, shuffled = load_reader(), load_shuffled_reader(seed)
    judge = _Judge(reader, shuffled, load_encoder(None), np.random.default_rng(seed))
    for number, row in enumerate(rows, start=1):
        judge.add(row)
        progress(number, len(rows))
    return judge.report()


class _Judge:
    def __init__(
        self, reader: Reader, shuffled: Reader, encoder: Encoder, rng: np.random.Generator
    ) -> None:
        self._reader = reader
        self._shuffled = shuffled
        self._encoder = encoder
        self._rng = rng
        self._tallies = {name: _Tally() for name in (*METHODS, *REFERENCES, *FLOORS)}
        self._seconds: list[float] = []
        self._right = 0

    def report(self) -> AttributionReport:
        methods = {name: tally.score(len(self._seconds)) for name, tally in self._tallies.items()}
        return AttributionReport(
            methods, len(self._seconds), self._right, float(np.mean(self._seconds))
        )

    def add(self, row: ReaderRow) -> None:
        started = time.perf_counter()
        ((_, generation, memory),) = self._reader.read([row.question], [row.contexts])
        self._seconds.append(time.perf_counter() - started)
        right = exact_match(generation.text, row.answers) > 0
        self._right += right
        case = _Case(row, generation, memory, sentences_of(row.contexts), right)
        contexts, sentences = self._by_context(case), self._by_sentence(case)
        self._judge_contexts(case, contexts)
        self._judge_sentences(case, sentences)
        self._check_shuffled(row, contexts)

    def _by_context(self, case: _Case) -> dict[str, NDArray[np.float64]]:
        labels = context_labels(case.generation)
        return self._all_scores(case, labels, list(case.row.contexts), case.without_contexts)

    def _by_sentence(self, case: _Case) -> dict[str, NDArray[np.float64]]:
        labels = sentence_labels(case.generation, case.sentences)
        texts = [case.row.contexts[s.context][s.start : s.end] for s in case.sentences]
        return self._all_scores(case, labels, texts, case.without_sentences)

    def _all_scores(
        self, case: _Case, labels: Labels, texts: Sequence[str], outcomes: Outcomes
    ) -> dict[str, NDArray[np.float64]]:
        """Scores of the sources by every method, and the seconds that each took."""
        n = len(texts)
        methods: dict[str, Callable[[], NDArray[np.float64]]] = {
            name: partial(score_sources, case.generation, labels, n, name) for name in METHODS
        }
        methods[LEAVE_ONE_OUT] = partial(_left_out, n, outcomes)
        methods[CONTEXT_CITE] = partial(_cited, n, outcomes, self._rng)
        methods[SIMILARITY] = partial(self._similarity, case, texts)
        methods[RANDOM] = lambda: self._rng.random(n)
        scores = {}
        for name, method in methods.items():
            started = time.perf_counter()
            scores[name] = method()
            self._tallies[name].seconds.append(time.perf_counter() - started)
        return scores

    def _similarity(self, case: _Case, texts: Sequence[str]) -> NDArray[np.float64]:
        """Cosine of the question with its answer and each source."""
        (query,) = self._encoder.encode_queries([f"{case.row.question} {case.generation.text}"])
        cosines: NDArray[np.float64] = (self._encoder.encode_passages(texts) @ query).astype(float)
        return cosines

    def _judge_contexts(self, case: _Case, scores: Mapping[str, NDArray[np.float64]]) -> None:
        n = len(case.row.contexts)
        kept = random_ablations(n, N_ABLATIONS, self._rng)
        outcomes = case.without_contexts(kept)
        (whole,) = case.without_contexts(np.ones((1, n), dtype=bool))
        named = {
            (name, k): largest(own, k) for name, own in scores.items() for k in (1, min(3, n - 1))
        }
        removed = [np.isin(np.arange(n), sources, invert=True) for sources in named.values()]
        drops = dict(zip(named, whole - case.without_contexts(np.stack(removed)), strict=True))
        gold = case.gold_contexts()
        for name, own in scores.items():
            values = self._tallies[name].values
            values["LDS"].append(linear_datamodelling_score(own, kept, outcomes))
            values["LOO"].append(spearman(own, scores[LEAVE_ONE_OUT]))
            values["drop@1"].append(float(drops[name, 1]))
            values["drop@3"].append(float(drops[name, min(3, n - 1)]))
            if case.right and gold:
                values["hit@1"].append(float(named[name, 1][0] in gold))

    def _judge_sentences(self, case: _Case, scores: Mapping[str, NDArray[np.float64]]) -> None:
        first = {name: largest(own, 1)[0] for name, own in scores.items()}
        (whole,) = case.memory.log_probabilities([case.memory.everything()])
        read_anew = {n: whole - self._without_sentence(case, n) for n in set(first.values())}
        hidden = whole - case.without_sentences(
            np.stack([np.arange(len(case.sentences)) != n for n in first.values()])
        )
        gold = case.gold_sentences()
        for (name, number), drop in zip(first.items(), hidden, strict=True):
            values = self._tallies[name].values
            values["sentence_drop@1"].append(float(read_anew[number]))
            values["hidden_sentence_drop@1"].append(float(drop))
            if case.right and gold:
                values["sentence_hit@1"].append(float(number in gold))

    def _without_sentence(self, case: _Case, number: int) -> float:
        """Log-probability of the answer when a sentence is taken out and its passage read anew."""
        sentence = case.sentences[number]
        text = case.row.contexts[sentence.context]
        shortened = text[: sentence.start] + text[sentence.end :]
        more = self._reader.read_more(case.memory, case.row.question, shortened)
        return float(more.log_probabilities([more.without_contexts([sentence.context])])[0])

    def _check_shuffled(self, row: ReaderRow, scores: Mapping[str, NDArray[np.float64]]) -> None:
        (generation,) = self._shuffled.generate([row.question], [row.contexts])
        labels = context_labels(generation)
        for name in METHODS:
            other = score_sources(generation, labels, len(row.contexts), name)
            self._tallies[name].shuffled.append(spearman(scores[name], other))


def _left_out(n_sources: int, outcomes: Outcomes) -> NDArray[np.float64]:
    everything = np.ones((1, n_sources), dtype=bool)
    found = outcomes(np.concatenate([everything, each_removed(n_sources)]))
    return leave_one_out(float(found[0]), found[1:])


def _cited(n_sources: int, outcomes: Outcomes, rng: np.random.Generator) -> NDArray[np.float64]:
    kept = random_ablations(n_sources, N_CITED, rng)
    return context_cite(kept, outcomes(kept))
