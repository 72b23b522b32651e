"""``ragcli ask``: the answer to a question, with the passage and sentence it came from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.batch import Batch
from ragcli.cli.environment import Environment
from ragcli.cli.exits import found_code
from ragcli.cli.options import (
    AnswerForm,
    AsJson,
    Beams,
    Conditions,
    DenseWeight,
    Diversity,
    EncoderName,
    Fusion,
    IndexFolder,
    MinConfidence,
    Mode,
    PassagesToRead,
    PathGlobs,
    PerDocument,
    Rerank,
    filters_of,
    ranking_of,
    settings_of,
)
from ragcli.cli.page import HtmlFile, page_writer
from ragcli.config import Settings
from ragcli.errors import IndexMissingError, UsageError
from ragcli.render.answers import answer_json

if TYPE_CHECKING:
    from ragcli.engine.asking import AskOptions, Basis
    from ragcli.records import Answer, Question
    from ragcli.render.answers import AnswerWriter

HELP = 'try "ragcli ask --help"'


def ask(
    context: typer.Context,
    *,
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="What you want to know.")
    ] = None,
    k: PassagesToRead = None,
    form: AnswerForm = None,
    beams: Beams = None,
    min_confidence: MinConfidence = None,
    attribution: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="How the answer is traced to its sources: effect, copy, cross-attention, ... "
            "[env var: RAGCLI_ATTRIBUTION; default: effect]",
        ),
    ] = None,
    heads: Annotated[
        bool, typer.Option("--heads", help="Show how the attention heads differ.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Try the answer without what it is owed to, and from that alone; takes up to "
            "twice as long.",
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show what each word of the answer looked at."),
    ] = False,
    layer: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --explain or --html: only this layer of the decoder, counted from 1. "
            "[default: mean of all]",
        ),
    ] = None,
    head: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --explain or --html: only this head, counted from 1. [default: mean of all]",
        ),
    ] = None,
    mode: Mode = None,
    fusion: Fusion = None,
    dense_weight: DenseWeight = None,
    rerank: Rerank = None,
    path: PathGlobs = None,
    condition: Conditions = None,
    per_document: PerDocument = None,
    diversity: Diversity = 0.0,
    index: IndexFolder = None,
    encoder: EncoderName = None,
    questions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            help='Answer every line of a file, or of stdin: plain text, or {"id", "question"}; '
            'a line may bring its own "contexts". Prints JSON lines.',
        ),
    ] = None,
    context_file: Annotated[
        str | None,
        typer.Option(
            "--context", metavar="FILE|-", help="Answer from this text, without any index."
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Append to this file, for each answer, a JSON line with all that is needed to "
            "check it later: see replay.",
        ),
    ] = None,
    as_json: AsJson = False,
    html: HtmlFile = None,
) -> None:
    """Answer a question and show the sentence the answer came from.

    Exits with 0 when there is an answer and with 1 when the documents do not give one.
    """
    environment: Environment = context.obj
    _check_usage(question, questions, context_file)
    if html is not None and questions is not None:
        raise UsageError("--html writes a page of one answer", "ask a single QUESTION")
    if not explain and html is None and (layer, head) != (None, None):
        raise UsageError(
            "--layer and --head choose what --explain or --html shows", "add --explain"
        )
    searching = (path, condition, per_document, mode, fusion, dense_weight, rerank)
    if context_file and (diversity or any(given is not None for given in searching)):
        raise UsageError("options of searching the index do not go with --context", HELP)
    settings = settings_of(
        environment,
        index=index,
        k=k,
        encoder=encoder,
        min_confidence=min_confidence,
        attribution=attribution,
        mode=mode,
        fusion=fusion,
        dense_weight=dense_weight,
        rerank=rerank,
    )
    options = replace(
        _options(settings, environment, context_file, form, beams),
        heads=heads,
        verify=verify,
        explain=explain or html is not None,
        layer=layer,
        head=head,
        word_shares=html is not None,
        ranking=ranking_of(settings, rerank=rerank, per_document=per_document, diversity=diversity),
        filters=filters_of(environment, path, condition),
    )
    writer = None if as_json or questions else _writer(environment, options)
    answered = False
    with (
        page_writer(environment, html) as write_page,
        _open_questions(environment, question, questions, context_file) as asked,
    ):
        folder = None if context_file else _folder(settings, environment, optional=bool(questions))
        for answer, basis in _answers(environment, folder, asked, options, record):
            answered |= not answer.abstained
            if write_page is not None:
                write_page(_page(answer, basis))
            told = answer if explain else replace(answer, focus=None)
            if writer is None:
                environment.write_line(answer_json(told))
            else:
                writer.write(told)
    raise typer.Exit(found_code(found=answered, failed=asked.failed))


def _answers(
    environment: Environment,
    folder: Path | None,
    asked: Batch[Question],
    options: AskOptions,
    record: Path | None,
) -> Iterator[tuple[Answer, Basis]]:
    """Answer, on record where a file is named; that is opened before any model is loaded."""
    if record is None:
        from ragcli.engine.asking import ask_with_basis

        yield from ask_with_basis(folder, asked, options)
        return
    from ragcli.engine.record_file import RecordFile
    from ragcli.engine.recording import ask_on_record

    with RecordFile(environment.cwd / record) as file:
        yield from ask_on_record(folder, asked, options, file)


def _page(answer: Answer, basis: Basis) -> str:
    from ragcli.engine.recording import record_of
    from ragcli.render.answer_page import answer_page

    return answer_page(answer, record_of(answer, basis))


def _options(
    settings: Settings,
    environment: Environment,
    context_file: str | None,
    form: str | None,
    beams: int | None,
) -> AskOptions:
    from ragcli.engine.asking import AskOptions

    given = {
        "k": settings.k,
        "min_confidence": settings.min_confidence,
        "method": settings.attribution,
        "form": form,
        "beams": beams,
        "encoder_name": settings.encoder,
        "context_name": "stdin" if context_file == "-" else context_file,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return AskOptions(seen_from=environment.cwd, **chosen)  # type: ignore[arg-type]


def _writer(environment: Environment, options: AskOptions) -> AnswerWriter:
    from ragcli.render.answers import AnswerWriter

    return AnswerWriter(
        environment.console(), min_confidence=options.min_confidence, with_question=False
    )


def _folder(settings: Settings, environment: Environment, *, optional: bool) -> Path | None:
    """Locate the index; a batch may do without one when its rows bring their contexts."""
    from ragcli.store import locate_index

    try:
        return locate_index(settings.index, environment.cwd)
    except IndexMissingError:
        if optional:
            return None
        raise


def _check_usage(question: str | None, questions: str | None, context_file: str | None) -> None:
    if (question is None) == (questions is None):
        raise UsageError("ask takes a QUESTION or --questions FILE", HELP)
    if question is not None and not question.strip():
        raise UsageError("the question is empty", HELP)
    if questions == context_file == "-":
        raise UsageError("only one of --questions and --context can be stdin", "name a file")


@contextmanager
def _open_questions(
    environment: Environment, question: str | None, questions: str | None, context_file: str | None
) -> Iterator[Batch[Question]]:
    """Open the questions; those without contexts of their own get the text of ``context_file``."""
    from ragcli.engine.batches import as_unicode, read_questions
    from ragcli.records import Question

    contexts = None if context_file is None else (_read_text(environment, context_file),)
    if questions is None:
        yield Batch(environment, [Question(as_unicode(question or ""), None, contexts)])
        return
    with environment.open_lines(questions) as lines:
        rows = read_questions(lines, "stdin" if questions == "-" else questions)
        given = (
            replace(row, contexts=contexts)
            if isinstance(row, Question) and row.contexts is None
            else row
            for row in rows
        )
        yield Batch(environment, given)


def _read_text(environment: Environment, name: str) -> str:
    from ragcli.engine.batches import as_unicode

    with environment.open_lines(name) as lines:
        return as_unicode(lines.read())
