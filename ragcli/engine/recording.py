"""Answers are taken down in records, and questions asked again with a record's settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli import __version__
from ragcli.engine.asking import AskOptions, Basis, IndexState, ask_with_basis
from ragcli.engine.record_format import (
    COPIED,
    FORMAT,
    VOCABULARY,
    Record,
    RecordedIndex,
    RecordedModel,
    RecordedModels,
    RecordedPassage,
    RecordedQuestion,
    RecordedSentence,
    RecordedSettings,
    RecordedToken,
    RecordedTrial,
    RecordedVerification,
    record_line,
    text_digest,
)
from ragcli.records import (
    Answer,
    Question,
    ScoredPassage,
    SentenceShare,
    TokenShare,
    Trial,
    Verification,
)

if TYPE_CHECKING:
    from ragcli.engine.record_file import RecordFile

DIGITS = 8
"""Decimal places of the numbers in a record: more than two readings ever agree in."""


def ask_on_record(
    folder: Path | None, questions: Iterable[Question], options: AskOptions, file: RecordFile
) -> Iterator[tuple[Answer, Basis]]:
    """Do as ``ask_with_basis`` does; an answer is handed on once it is safely in ``file``.

    Raises ``InputError`` when it cannot be written.
    """
    for answer, basis in ask_with_basis(folder, questions, options):
        file.append(record_line(record_of(answer, basis)))
        yield answer, basis


def record_of(answer: Answer, basis: Basis) -> Record:
    """Take down an answer and what it rests on, now."""
    question, attribution = answer.question, answer.attribution
    encoder, reader = basis.encoder, basis.reader
    return Record(
        FORMAT,
        datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        __version__,
        RecordedQuestion(question.text, question.question_id, question.contexts),
        answer.text,
        answer.abstained,
        _rounded(answer.confidence),
        _rounded(attribution.vocabulary),
        tuple(map(_passage, answer.passages, attribution.contexts)),
        tuple(_sentence(answer, sentence) for sentence in attribution.sentences),
        tuple(_token(answer, token) for token in attribution.tokens),
        None if answer.verification is None else _verification(answer, answer.verification),
        settings_of(basis.options),
        None if basis.index is None else _index(basis.index, basis.options),
        RecordedModels(
            None if encoder is None else RecordedModel(encoder.name, encoder.revision),
            RecordedModel(reader.name, reader.revision),
            basis.calibration,
            basis.arithmetic,
        ),
    )


def settings_of(options: AskOptions) -> RecordedSettings:
    """Take down the settings in force."""
    ranking, filters = options.ranking, options.filters
    return RecordedSettings(
        options.k,
        ranking.mode,
        ranking.fusion,
        ranking.dense_weight,
        ranking.rerank,
        ranking.per_document,
        ranking.diversity,
        tuple(map(str, filters.conditions)),
        filters.globs,
        options.encoder_name,
        options.context_name,
        options.min_confidence,
        options.method,
        options.form,
        options.n_beams,
    )


def _index(state: IndexState, options: AskOptions) -> RecordedIndex:
    folder = state.folder.resolve()
    here = (options.seen_from or Path.cwd()).resolve()
    return RecordedIndex(
        str(folder),
        os.path.relpath(here, folder.parent),
        state.lineage,
        state.generation,
        asdict(state.fingerprint),
    )


def _passage(hit: ScoredPassage, share: float) -> RecordedPassage:
    stored, passage = hit.stored, hit.stored.passage
    return RecordedPassage(
        hit.rank,
        None if hit.score is None else _rounded(hit.score),
        stored.path,
        stored.document_id,
        stored.passage_id,
        passage.start,
        passage.end,
        passage.line,
        passage.page,
        _rounded(share),
        text_digest(passage.text),
        passage.text,
    )


def _sentence(answer: Answer, sentence: SentenceShare) -> RecordedSentence:
    hit = answer.passages[sentence.context]
    offset = hit.stored.passage.start
    start, end = offset + sentence.start, offset + sentence.end
    return RecordedSentence(hit.rank, start, end, sentence.text, _rounded(sentence.share))


def _token(answer: Answer, token: TokenShare) -> RecordedToken:
    weight = _rounded(token.weight)
    if token.context is None or token.start is None or token.end is None:
        return RecordedToken(token.text, VOCABULARY, None, None, None, weight)
    hit = answer.passages[token.context]
    offset = hit.stored.passage.start
    start, end = offset + token.start, offset + token.end
    return RecordedToken(token.text, COPIED, hit.rank, start, end, weight)


def _verification(answer: Answer, found: Verification) -> RecordedVerification:
    def trial(tried: Trial) -> RecordedTrial:
        return RecordedTrial(_rounded(tried.probability), tried.text, tried.same)

    return RecordedVerification(
        found.verdict,
        _rounded(found.probability),
        tuple(answer.passages[n].rank for n in found.cited),
        trial(found.without_passages),
        trial(found.without_sentence),
        trial(found.passages_alone),
    )


def _rounded(number: float) -> float:
    return round(float(number), DIGITS)


def options_of(record: Record, folder: Path | None) -> AskOptions:
    """Return the options that a record's question was asked with; ``folder`` is its index's.

    Raises ``UsageError`` for a setting that this version does not know.
    """
    from ragcli.retrieval.filters import make_filters
    from ragcli.retrieval.ranking import Ranking

    settings = record.settings
    seen_from = Path.cwd()
    if folder is not None and record.index is not None:
        seen_from = Path(os.path.normpath(folder.resolve().parent / record.index.seen_from))
    options = AskOptions(
        settings.k,
        settings.min_confidence,
        Ranking(
            settings.mode,
            settings.fusion,
            settings.dense_weight,
            rerank=settings.rerank,
            per_document=settings.per_document,
            diversity=settings.diversity,
        ),
        make_filters(settings.filter, settings.path, seen_from.as_posix()),
        settings.attribution,
        settings.form,
        settings.beams,
        seen_from=seen_from,
        context_name=settings.context_name,
    )
    if record.index is None and record.models.encoder is not None:
        return replace(options, encoder_name=record.models.encoder.name)
    return options
