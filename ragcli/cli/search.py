"""``ragcli search``: the passages that fit a query best."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.batch import Batch
from ragcli.cli.environment import Environment
from ragcli.cli.exits import found_code
from ragcli.cli.options import AsJson, EncoderName, IndexFolder, settings_of
from ragcli.errors import UsageError
from ragcli.render.machine import JsonWriter, PathWriter

if TYPE_CHECKING:
    from ragcli.engine.searching import Query, SearchResult
    from ragcli.render.hits import HitWriter


def search(
    context: typer.Context,
    *,
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="What to look for, in your own words.")
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "-k", metavar="N", min=1, help="Passages to show. [env var: RAGCLI_K; default: 10]"
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            metavar="COSINE",
            help="Leave out passages below this score, from -1 to 1. [env var: RAGCLI_MIN_SCORE]",
        ),
    ] = None,
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

    They are found by meaning rather than by words. Exits with 0 when something was found and with
    1 when nothing was.
    """
    from ragcli.engine.searching import DEFAULT_K
    from ragcli.engine.searching import search as find
    from ragcli.store import locate_index

    environment: Environment = context.obj
    _check_usage(query, queries, as_json=as_json, files=files_with_matches, null=null)
    settings = settings_of(environment, index=index, k=k, min_score=min_score, encoder=encoder)
    human = not (as_json or files_with_matches)
    writer = _writer(environment, as_json, files_with_matches, null, queries is not None)
    found = False
    with _open_queries(environment, query, queries) as asked:
        results = find(
            locate_index(settings.index, environment.cwd),
            asked,
            k=settings.k or DEFAULT_K,
            min_score=settings.min_score,
            encoder_name=settings.encoder,
            highlight=human,
            seen_from=environment.cwd,
        )
        for result in results:
            found |= bool(result.hits)
            _write(environment, writer, result)
    if human and not found:
        environment.warn("nothing found")
    raise typer.Exit(found_code(found=found, failed=asked.failed))


def _check_usage(
    query: str | None, queries: str | None, *, as_json: bool, files: bool, null: bool
) -> None:
    if (query is None) == (queries is None):
        raise UsageError("search takes a QUERY or --queries FILE", 'try "ragcli search --help"')
    if query is not None and not query.strip():
        raise UsageError("the query is empty", 'try "ragcli search --help"')
    if as_json and files:
        raise UsageError("--json and --files-with-matches exclude each other", "choose one")
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
    environment: Environment, as_json: bool, files: bool, null: bool, is_batch: bool
) -> JsonWriter | PathWriter | HitWriter:
    if as_json:
        return JsonWriter(environment.stdout)
    if files:
        exact = null or not environment.stdout_is_terminal
        return PathWriter(environment.stdout, end="\0" if null else "\n", exact=exact)
    from ragcli.render.hits import HitWriter

    return HitWriter(environment.console(), with_query=is_batch)


def _write(
    environment: Environment, writer: JsonWriter | PathWriter | HitWriter, result: SearchResult
) -> None:
    writer.write(result.query.text, result.query.query_id, result.hits, result.highlights)
    environment.stdout.flush()  # a reader of a stream need not wait
