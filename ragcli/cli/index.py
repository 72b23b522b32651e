"""``ragcli index``: bring the index up to date with files and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.exits import DONE, SOME_FAILED
from ragcli.cli.following import Tell, follow, telling_changes
from ragcli.cli.intake import Intake, intake, selection
from ragcli.cli.options import AsJson, EncoderName, IndexFolder, WaitForLock, settings_of
from ragcli.errors import RagcliError, UsageError
from ragcli.render.summary import (
    failure_line,
    failure_lines,
    outcome_json,
    report_json,
    report_line,
)

if TYPE_CHECKING:
    from ragcli.engine.outcomes import IndexReport, Outcome
    from ragcli.engine.progress import IndexProgress


def index(
    context: typer.Context,
    *,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files and folders to read; - for standard input."),
    ] = None,
    index: IndexFolder = None,
    encoder: EncoderName = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="GLOB",
            help="Only files that match, as in a .gitignore: '*.md', 'docs/**'. Repeatable.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="GLOB", help="Not files that match. Repeatable."),
    ] = None,
    max_file_size: Annotated[
        str | None,
        typer.Option(
            "--max-file-size",
            metavar="SIZE",
            help="Pass over larger files: 500k, 10M, 1G; 0 for no limit. [default: 100M]",
        ),
    ] = None,
    follow_symlinks: Annotated[
        bool,
        typer.Option("--follow-symlinks", help="Read what symbolic links lead to, also outside."),
    ] = False,
    archives: Annotated[
        bool, typer.Option("--archives", help="Read the files inside .zip, .tar and .tar.gz too.")
    ] = False,
    files_from: Annotated[
        str | None,
        typer.Option(
            "--files-from",
            metavar="FILE",
            help="Read the files named in FILE, one a line; - for standard input.",
        ),
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Names in --files-from end with a NUL.")
    ] = False,
    jsonl: Annotated[
        bool,
        typer.Option(
            "--jsonl",
            help="Standard input (-) is JSON lines: each record is added, or replaces the one of "
            "its id that came so before.",
        ),
    ] = False,
    stdin_name: Annotated[
        str | None,
        typer.Option(
            "--stdin-name",
            metavar="NAME",
            help="What standard input (-) is called; its suffix tells the format. [default: "
            "document.txt, records.jsonl with --jsonl]",
        ),
    ] = None,
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Tell what would happen; write nothing.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End at the first file that cannot be read.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Stay, and bring the index up to date whenever a file changes."
        ),
    ] = False,
    wait: WaitForLock = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", metavar="FILE", help="Add a JSON line for each file to FILE, as it is done."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print no progress and no summary.")
    ] = False,
) -> None:
    """Bring the index up to date with files and folders.

    Reads Markdown, plain text, reStructuredText, LaTeX, Org, HTML, XML, PDF, EPUB, DOCX, PPTX,
    XLSX, CSV, TSV, JSON, JSON lines, notebooks, mail and source code, also compressed (.gz). Each
    line of a JSONL, CSV or TSV file is a document of its own. Files that did not change are
    skipped, vanished ones removed; of changed ones only the passages that are new are embedded.
    Ignored by .gitignore or .ragcliignore means not read. A file that cannot be read is reported
    and the rest goes on. Killed or interrupted, the same command goes on where it was.
    """
    from ragcli.corpus.loaders import RecordFields
    from ragcli.engine.indexing import folder_to_write, index_paths, preview_paths

    environment: Environment = context.obj
    settings = settings_of(environment, index=index, encoder=encoder)
    wanted = selection(
        include=include,
        exclude=exclude,
        max_file_size=max_file_size,
        follow_symlinks=follow_symlinks,
        archives=archives,
    )
    folder = folder_to_write(settings.index, environment.cwd)
    fields = RecordFields(id_field, title_field, text_field)
    with ExitStack() as stack:
        given = stack.enter_context(
            intake(
                environment,
                paths or [],
                files_from=files_from,
                null=null,
                jsonl=jsonl,
                stdin_name=stdin_name,
            )
        )
        _check_together(given, dry_run=dry_run, watch=watch, fail_fast=fail_fast)
        tell = stack.enter_context(_log(environment, log))
        if dry_run:
            report = preview_paths(
                given.paths,
                folder,
                encoder_name=settings.encoder,
                fields=fields,
                selection=wanted,
                rebuild=rebuild,
                seen_from=environment.cwd,
                tell=telling_changes(environment, tell, wanted=not (quiet or as_json)),
            )
            _print(environment, report, as_json=as_json, quiet=quiet)
            raise typer.Exit(SOME_FAILED if report.failed else DONE)
        bring_in_step = partial(
            index_paths,
            given.paths,
            folder,
            streams=given.streams,
            encoder_name=settings.encoder,
            fields=fields,
            selection=wanted,
            index_type=index_type,
            recall=recall,
            fail_fast=fail_fast,
            seen_from=environment.cwd,
        )
        with _attended(environment, wanted=not quiet) as show:
            report = bring_in_step(rebuild=rebuild, wait=wait, progress=show, tell=tell)
        _print(environment, report, as_json=as_json, quiet=quiet)
        if not watch:
            raise typer.Exit(SOME_FAILED if report.failed else DONE)
        from ragcli.corpus.watching import changes

        def again(tell: Tell) -> IndexReport:
            with _attended(environment, wanted=not quiet) as show:
                return bring_in_step(wait=True, progress=show, tell=tell)

        unheeded = [environment.cwd / log] if log else []
        moments = changes(given.paths, wanted, index_folder=folder, unheeded=unheeded)
        if not quiet:
            environment.warn("watching for changes; Ctrl-C ends it")
        follow(environment, moments, again, before=report, log=tell, as_json=as_json, quiet=quiet)


def _check_together(given: Intake, *, dry_run: bool, watch: bool, fail_fast: bool) -> None:
    """Refuse options that cannot be meant together."""
    if dry_run and given.streams:
        raise UsageError("--dry-run cannot tell what standard input would change")
    if watch and (dry_run or fail_fast or given.streams):
        other = "--dry-run" if dry_run else "--fail-fast" if fail_fast else "standard input"
        raise UsageError(f"--watch and {other} cannot be had together")
    if watch and not given.paths:
        raise UsageError("there is nothing to watch", "name files or folders")


def _print(environment: Environment, report: IndexReport, *, as_json: bool, quiet: bool) -> None:
    for skipped in report.skipped if not quiet else ():
        environment.warn(f"skipped {failure_line(skipped)}")
    for line in failure_lines(report.failed):
        environment.warn(line)
    if not quiet:
        environment.write_line(report_json(report) if as_json else report_line(report))


@contextmanager
def _log(environment: Environment, file: Path | None) -> Iterator[Tell]:
    """Write what becomes of each file to ``file``, if any; raises ``RagcliError``."""
    if file is None:
        yield lambda _: None
        return
    try:
        stream = (environment.cwd / file).open("a", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise RagcliError(f"cannot write the log {file}: {error.strerror or error}") from error
    with stream:

        def tell(outcome: Outcome) -> None:
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            stream.write(f"{outcome_json(outcome, now)}\n")
            stream.flush()

        yield tell


@contextmanager
def _attended(
    environment: Environment, *, wanted: bool
) -> Iterator[Callable[[IndexProgress], None]]:
    """Show a bar on a terminal, elsewhere nothing; say how to go on after Ctrl-C."""
    try:
        with _progress(environment, wanted=wanted) as show:
            yield show
    except KeyboardInterrupt:
        environment.warn("what was written is kept; run the same command again to go on")
        raise


@contextmanager
def _progress(
    environment: Environment, *, wanted: bool
) -> Iterator[Callable[[IndexProgress], None]]:
    if not (wanted and environment.stderr_is_terminal):
        yield lambda _: None
        return
    from ragcli.render.progress import ProgressBar

    with ProgressBar(environment.error_console()) as bar:
        yield lambda now: bar.show(
            (now.files_done, now.files_total), (now.bytes_done, now.bytes_total), now.passages
        )
