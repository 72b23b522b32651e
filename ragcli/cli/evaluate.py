"""``ragcli eval``: measure the models on judged questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ragcli.cli.draft import draft
from ragcli.cli.environment import Environment
from ragcli.cli.judged import (
    QUERIES_HELP,
    Qrels,
    missing_teller,
    question_counter,
    read_judged_files,
)
from ragcli.cli.options import (
    AnswerForm,
    AsJson,
    Beams,
    DenseWeight,
    EncoderName,
    Fusion,
    IndexFolder,
    MinConfidence,
    Mode,
    PassagesToRead,
    Rerank,
    ranking_of,
    settings_of,
)
from ragcli.errors import InputError, UsageError
from ragcli.render.faithfulness import faithfulness_json, faithfulness_table
from ragcli.render.scores import (
    answered_json,
    answers_json,
    answers_table,
    per_query_json,
    retrieval_json,
    retrieval_table,
    score_json,
    score_line,
)

Limit = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Take a seeded sample of this many questions."),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of the sample.")]
Rows = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        help='JSON lines, plain or .gz: {"id", "question", "contexts", "answers"}.',
    ),
]

evaluate = typer.Typer(
    help="Measure the models on judged questions.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
evaluate.command("init")(draft)


@evaluate.command("reader")
def evaluate_reader(
    context: typer.Context,
    *,
    files: Rows,
    limit: Limit = None,
    seed: Seed = 0,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            metavar="PROBABILITY",
            min=0.0,
            max=1.0,
            help="Abstain below this confidence; 0 always answers.",
        ),
    ] = None,
    form: AnswerForm = None,
    beams: Beams = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Reader weights; by default those that come along."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the reader on questions that bring their contexts.

    Prints exact match and F1 in percent, as SQuAD's script defines them, and how many answers hold
    an accepted one, which is what tells of sentences. A row without answers is right when the
    reader abstains: where it finds "no answer" likelier than not or, with --min-confidence, where
    it is less confident than that, as ask does.
    """
    from ragcli.engine.evaluating import evaluate_reader as measure
    from ragcli.reader.model import SHORT

    environment: Environment = context.obj
    score = measure(
        [environment.cwd / file for file in files],
        limit=limit,
        seed=seed,
        min_confidence=min_confidence,
        form=form or SHORT,
        beams=beams,
        weights=None if weights is None else environment.cwd / weights,
        progress=question_counter(environment),
    )
    environment.write_line(score_json(score) if as_json else score_line(score))


@evaluate.command("answers")
def evaluate_answers(
    context: typer.Context,
    *,
    queries: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help='JSON lines, plain or .gz: {"id", "question", "answers"}; no answers in the list '
            'means that the documents do not answer it. "relevant" may name the documents that do.',
        ),
    ],
    qrels: Qrels = None,
    limit: Limit = None,
    seed: Seed = 0,
    k: PassagesToRead = None,
    form: AnswerForm = None,
    beams: Beams = None,
    min_confidence: MinConfidence = None,
    mode: Mode = None,
    fusion: Fusion = None,
    dense_weight: DenseWeight = None,
    rerank: Rerank = None,
    per_query: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every answer with its scores as JSON lines."),
    ] = None,
    index: IndexFolder = None,
    encoder: EncoderName = None,
    as_json: AsJson = False,
) -> None:
    """Score answers from end to end: question, retrieval, answer.

    Prints exact match and F1 in percent, as SQuAD's scripts define them, how many answers
    hold an accepted one, how often ask abstains where it should and where not, how many of its
    answers are wrong, and how far its confidence is off. A sentence is wrong when it does not hold
    an accepted answer, a short answer below an F1 of 50 %. Documents are named as eval retrieval
    names them.
    """
    from ragcli.engine.asking import AskOptions
    from ragcli.engine.evaluating_answers import evaluate_answers as measure
    from ragcli.engine.judged import read_answered
    from ragcli.store import locate_index

    environment: Environment = context.obj
    cwd = environment.cwd
    settings = settings_of(
        environment,
        index=index,
        k=k,
        encoder=encoder,
        min_confidence=min_confidence,
        mode=mode,
        fusion=fusion,
        dense_weight=dense_weight,
        rerank=rerank,
    )
    given = {
        "k": settings.k,
        "form": form,
        "beams": beams,
        "min_confidence": settings.min_confidence,
        "encoder_name": settings.encoder,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    ranking = ranking_of(settings, rerank=rerank)
    options = AskOptions(ranking=ranking, seen_from=cwd, **chosen)  # type: ignore[arg-type]
    questions = read_answered(cwd / queries, None if qrels is None else cwd / qrels)
    folder = locate_index(settings.index, cwd)
    with ExitStack() as stack:
        each = None if per_query is None else stack.enter_context(_written(cwd / per_query))
        score = measure(
            folder,
            questions,
            options,
            limit=limit,
            seed=seed,
            progress=question_counter(environment),
        )
        if each is not None:
            each.writelines(f"{answered_json(one)}\n" for one in score.answers)
    for line in [answers_json(score)] if as_json else answers_table(score):
        environment.write_line(line)


@evaluate.command("attribution")
def evaluate_attribution(
    context: typer.Context,
    *,
    files: Rows,
    limit: Limit = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Judge every way of attribution by what answers lose without their sources.

    Each question is answered from its contexts, of which there must be several, and its answer
    asked for again without some of them: at random, one by one, and without those that a method
    names first. A second or two a question.
    """
    from ragcli.engine.evaluating_attribution import evaluate_attribution as measure

    environment: Environment = context.obj
    report = measure(
        [environment.cwd / file for file in files],
        limit=limit,
        seed=seed,
        progress=question_counter(environment),
    )
    lines = (
        (faithfulness_json(name, score, report) for name, score in report.methods.items())
        if as_json
        else faithfulness_table(report)
    )
    for line in lines:
        environment.write_line(line)


@evaluate.command("retrieval")
def evaluate_retrieval(
    context: typer.Context,
    *,
    queries: Annotated[Path, typer.Option(metavar="FILE", help=QUERIES_HELP)],
    qrels: Qrels = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Documents to index for this measurement; by default the index at hand is used.",
        ),
    ] = None,
    modes: Annotated[
        list[str] | None,
        typer.Option(
            "--mode", metavar="MODE", help="Measure this mode; repeatable. By default all three."
        ),
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Measure hybrid with --rerank as well; takes longer.")
    ] = False,
    fusion: Fusion = None,
    dense_weight: DenseWeight = None,
    per_query: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the measures of every query as JSON lines."),
    ] = None,
    index: IndexFolder = None,
    encoder: EncoderName = None,
    as_json: AsJson = False,
) -> None:
    """Score how passages are found, on queries with judged documents.

    What is blank yet in a file of eval init is left out. A document ranks where its best passage
    does. Records are judged by their ids, files by their
    paths from the current folder, or from the folder given as --corpus. Measures are those of
    trec_eval; intervals are bootstrapped, p-values come from a paired randomisation test.
    """
    from ragcli.engine import evaluating_retrieval as use_case
    from ragcli.retrieval.ranking import MODES
    from ragcli.store import locate_index

    environment: Environment = context.obj
    cwd = environment.cwd
    settings = settings_of(
        environment, index=index, encoder=encoder, fusion=fusion, dense_weight=dense_weight
    )
    if corpus is not None and index is not None:
        raise UsageError("--corpus and --index exclude each other", "choose one")
    settings = replace(settings, rerank=False)  # a column of its own, not a setting of the others
    names = list(dict.fromkeys(modes or MODES))
    rankings = [ranking_of(replace(settings, mode=name)) for name in names]
    if rerank:
        names.append("reranked")
        rankings.append(ranking_of(replace(settings, mode=None, rerank=True)))
    judged = read_judged_files(environment, queries, qrels)
    with ExitStack() as stack:
        each = None if per_query is None else stack.enter_context(_written(cwd / per_query))
        if corpus is None:
            folder = locate_index(settings.index, cwd)
        else:
            made = use_case.corpus_index(cwd / corpus, encoder_name=settings.encoder)
            folder = stack.enter_context(made)
        found = use_case.evaluate_retrieval(
            folder,
            judged.texts,
            judged.qrels,
            rankings,
            encoder_name=settings.encoder,
            named_from=cwd / corpus if corpus is not None and (cwd / corpus).is_dir() else cwd,
            progress=question_counter(environment),
            tell_missing=missing_teller(environment),
        )
        scores = dict(zip(names, found, strict=True))
        if each is not None:
            for name, score in scores.items():
                each.writelines(f"{line}\n" for line in per_query_json(name, score))
    shown = (
        [retrieval_json(*item) for item in scores.items()] if as_json else retrieval_table(scores)
    )
    for line in shown:
        environment.write_line(line)


@contextmanager
def _written(file: Path) -> Iterator[TextIO]:
    """Open a file to write; before the work is done, so that it is not done in vain."""
    try:
        stream = file.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    with stream:
        yield stream
