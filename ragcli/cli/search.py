"""``ragcli search``: the passages that fit a query best."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.batch import Batch
from ragcli.cli.environment import Environment
from ragcli.cli.exits import found_code
from ragcli.cli.options import (
    AsJson,
    Conditions,
    DenseWeight,
    Diversity,
    EncoderName,
    Fusion,
    IndexFolder,
    Mode,
    PathGlobs,
    PerDocument,
    Rerank,
    filters_of,
    ranking_of,
    settings_of,
)
from ragcli.errors import UsageError
from ragcli.render.machine import JsonWriter, PathWriter, TrecWriter

if TYPE_CHECKING:
    from ragcli.engine.searching import Query, SearchResult
    from ragcli.render.hits import HitWriter

FORMATS = ("text", "json", "trec")


def search(
    context: typer.Context,
    *,
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="What to look for, in your own words.")
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            metavar="N",
            min=1,
            help="Passages to show. [env var: RAGCLI_K; default: what the index was tuned to, "
            "else 10]",
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            help="Leave out passages below this score, as the mode computes it. "
            "[env var: RAGCLI_MIN_SCORE]",
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
    highlight: Annotated[
        bool | None,
        typer.Option(
            "--highlight/--no-highlight",
            help="Mark the sentence and the words that matched, in JSON by their characters. "
            "By default for people only.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each stage said of a hit: score and rank.")
    ] = False,
    index: IndexFolder = None,
    encoder: EncoderName = None,
    queries: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            help='Search for every line of a file, or of stdin: plain text, or {"id", "text"}.',
        ),
    ] = None,
    as_json: AsJson = False,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="text, json (like --json) or trec: a run for trec_eval and ir_measures, each "
            "document once.",
        ),
    ] = None,
    files_with_matches: Annotated[
        bool,
        typer.Option(
            "--files-with-matches", "-l", help="Print only the paths, each once, the best first."
        ),
    ] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="With -l: end each path with NUL, for xargs -0.")
    ] = False,
) -> None:
    """Show the passages that fit a query best.

    They are found by meaning and by words together. When searching by words, "words in quotes" must
    stand in the passage in this order, and word* stands for longer words as well. Exits with 0 when
    something was found and with 1 when nothing was.
    """
    from ragcli.engine.searching import search as find
    from ragcli.store import locate_index

    environment: Environment = context.obj
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json excludes the format {form}", "choose one")
    form = "json" if as_json else form or "text"
    _check_usage(query, queries, form, files=files_with_matches, null=null)
    if form == "trec":
        per_document = 1
    settings = settings_of(
        environment,
        index=index,
        k=k,
        min_score=min_score,
        encoder=encoder,
        mode=mode,
        fusion=fusion,
        dense_weight=dense_weight,
        rerank=rerank,
    )
    human = form == "text" and not files_with_matches
    writer = _writer(
        environment,
        form=form,
        files=files_with_matches,
        null=null,
        is_batch=queries is not None,
        explain=explain,
    )
    found = False
    with _open_queries(environment, query, queries) as asked:
        results = find(
            locate_index(settings.index, environment.cwd),
            asked,
            k=settings.k,
            ranking=ranking_of(
                settings, rerank=rerank, per_document=per_document, diversity=diversity
            ),
            filters=filters_of(environment, path, condition),
            min_score=settings.min_score,
            encoder_name=settings.encoder,
            highlight=human if highlight is None else highlight,
            seen_from=environment.cwd,
        )
        for result in results:
            found |= bool(result.hits)
            _write(environment, writer, result)
    if human and not found:
        environment.warn("nothing found")
    raise typer.Exit(found_code(found=found, failed=asked.failed))


def _check_usage(
    query: str | None, queries: str | None, form: str, *, files: bool, null: bool
) -> None:
    if (query is None) == (queries is None):
        raise UsageError("search takes a QUERY or --queries FILE", 'try "ragcli search --help"')
    if query is not None and not query.strip():
        raise UsageError("the query is empty", 'try "ragcli search --help"')
    if form not in FORMATS:
        raise UsageError(f"unknown format {form!r}", f"choose one of: {', '.join(FORMATS)}")
    if form != "text" and files:
        raise UsageError(f"--{form} and --files-with-matches exclude each other", "choose one")
    if null and not files:
        raise UsageError("-0 is for paths only", "add -l")


@contextmanager
def _open_queries(
    environment: Environment, query: str | None, queries: str | None
) -> Iterator[Batch[Query]]:
    from ragcli.engine.batches import as_unicode
    from ragcli.engine.searching import Query, read_queries

    if queries is None:
        yield Batch(environment, [Query(as_unicode(query or ""))])
        return
    with environment.open_lines(queries) as lines:
        yield Batch(environment, read_queries(lines, "stdin" if queries == "-" else queries))


def _writer(
    environment: Environment,
    *,
    form: str,
    files: bool,
    null: bool,
    is_batch: bool,
    explain: bool,
) -> JsonWriter | TrecWriter | PathWriter | HitWriter:
    if form == "json":
        return JsonWriter(environment.stdout, explain=explain)
    if form == "trec":
        return TrecWriter(environment.stdout)
    if files:
        exact = null or not environment.stdout_is_terminal
        return PathWriter(environment.stdout, end="\0" if null else "\n", exact=exact)
    from ragcli.render.hits import HitWriter

    return HitWriter(environment.console(), with_query=is_batch, explain=explain)


def _write(
    environment: Environment,
    writer: JsonWriter | TrecWriter | PathWriter | HitWriter,
    result: SearchResult,
) -> None:
    writer.write(result.query.text, result.query.query_id, result.hits, result.highlights)
    environment.stdout.flush()  # a reader of a stream need not wait
