"""``ragcli index``: bring the index up to date with files and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.exits import DONE, SOME_FAILED
from ragcli.cli.options import AsJson, EncoderName, IndexFolder, settings_of
from ragcli.render.summary import failure_line, report_json, report_line

if TYPE_CHECKING:
    from ragcli.engine.progress import IndexProgress


def index(
    context: typer.Context,
    *,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files and folders to read.")],
    index: IndexFolder = None,
    encoder: EncoderName = None,
    id_field: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD", help="Field of a record that holds its id. [default: id, _id]"
        ),
    ] = None,
    title_field: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD", help="Field of a record that holds its title. [default: title]"
        ),
    ] = None,
    text_field: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD", help="Field of a record that holds its text. [default: text]"
        ),
    ] = None,
    index_type: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="How vectors are searched: flat (exactly); ivf, ivf-pq or hnsw (fast, missing a "
            "few); auto (flat up to 50,000 passages, then ivf); or a FAISS factory string such as "
            "IVF1024,SQ8. Kept for later runs. [default: auto]",
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="How many of the ten nearest passages a type that is not exact is tuned to find. "
            "Kept for later runs. [default: 0.95]",
        ),
    ] = None,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Embed everything anew, also what is in the index already."),
    ] = False,
    as_json: AsJson = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print no progress and no summary.")
    ] = False,
) -> None:
    """Bring the index up to date with files and folders.

    Reads Markdown, plain text, reStructuredText, HTML, PDF, DOCX, CSV, TSV, JSON lines and source
    code; each line of a JSONL, CSV or TSV file is a document of its own. Files that did not change
    are skipped, changed ones replaced, vanished ones removed. Ignored by .gitignore or
    .ragcliignore means not read. A file that cannot be read is reported and the rest goes on.
    """
    from ragcli.corpus.loaders import RecordFields
    from ragcli.engine.indexing import folder_to_write, index_paths

    environment: Environment = context.obj
    settings = settings_of(environment, index=index, encoder=encoder)
    with _progress(environment, wanted=not quiet) as show, _advice_on_interrupt(environment):
        report = index_paths(
            [environment.cwd / path for path in paths],
            folder_to_write(settings.index, environment.cwd),
            encoder_name=settings.encoder,
            fields=RecordFields(id_field, title_field, text_field),
            index_type=index_type,
            recall=recall,
            rebuild=rebuild,
            seen_from=environment.cwd,
            progress=show,
        )
    for failure in report.failed:
        environment.warn(failure_line(failure))
    if not quiet:
        environment.write_line(report_json(report) if as_json else report_line(report))
    raise typer.Exit(SOME_FAILED if report.failed else DONE)


@contextmanager
def _progress(
    environment: Environment, *, wanted: bool
) -> Iterator[Callable[[IndexProgress], None]]:
    """Show a bar on a terminal; elsewhere the reports go nowhere."""
    if not (wanted and environment.stderr_is_terminal):
        yield lambda _: None
        return
    from ragcli.render.progress import ProgressBar

    with ProgressBar(environment.error_console()) as bar:
        yield lambda now: bar.show(
            (now.files_done, now.files_total), (now.bytes_done, now.bytes_total), now.passages
        )


@contextmanager
def _advice_on_interrupt(environment: Environment) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        environment.warn("what was written is kept; run the same command again to go on")
        raise
