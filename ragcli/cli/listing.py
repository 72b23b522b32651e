"""``ragcli list``: the files that the index holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.exits import found_code
from ragcli.cli.options import AsJson, IndexFolder, settings_of
from ragcli.errors import UsageError
from ragcli.render.listing import document_json, document_table, file_json, file_table

if TYPE_CHECKING:
    from ragcli.engine.listing import HeldFile
    from ragcli.store import HeldDocument


def list_held(
    context: typer.Context,
    *,
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATTERN",
            show_default=False,
            help="Only files whose path matches, as git matches: 'docs/**', '*.pdf', '!drafts/**'; "
            "the last one that matches decides. Or a path that begins with a dot: ., ../docs.",
        ),
    ] = None,
    documents: Annotated[
        bool,
        typer.Option("--documents", help="List the documents in the files, with ids and titles."),
    ] = False,
    long: Annotated[
        bool,
        typer.Option(
            "--long", help="Passages, size and date in a pipe as well; there only paths, or ids."
        ),
    ] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Only paths, or ids, each ended with NUL.")
    ] = False,
    index: IndexFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the files that the index holds.

    A terminal shows passages, size, date and path; a pipe gets the paths, one a line, as from git
    ls-files. A file of which not every document is in place is marked as incomplete. Exits with 1
    when nothing matches.
    """
    from ragcli.engine.listing import list_documents, list_files
    from ragcli.store import locate_index

    environment: Environment = context.obj
    if sum((as_json, long, null)) > 1:
        raise UsageError("--json, --long and --null exclude each other", "choose one")
    settings = settings_of(environment, index=index)
    folder = locate_index(settings.index, environment.cwd)
    files = list_files(folder, patterns or (), seen_from=environment.cwd)
    write = _Writer(environment, as_json=as_json, null=null, long=long)
    if documents:
        write.documents(list_documents(folder, patterns or (), seen_from=environment.cwd))
    else:
        write.files(files)
    if not as_json:
        _tell(environment, files)
    raise typer.Exit(found_code(found=bool(files), failed=False))


class _Writer:
    """Writes files or documents in the form that was asked for."""

    def __init__(self, environment: Environment, *, as_json: bool, null: bool, long: bool) -> None:
        self._environment = environment
        self._as_json = as_json
        self._table = not null and (long or environment.stdout_is_terminal)
        self._end = "\0" if null else "\n"

    def files(self, files: list[HeldFile]) -> None:
        if self._as_json:
            self._lines(map(file_json, files))
        elif self._table:
            self._lines(file_table(files) if files else ())
        else:
            self._names(file.path for file in files)

    def documents(self, documents: Iterable[tuple[HeldFile, HeldDocument]]) -> None:
        if self._as_json:
            self._lines(document_json(file, document) for file, document in documents)
        elif self._table:
            self._lines(document_table(documents))
        else:
            self._names(document.document_id for _, document in documents)

    def _lines(self, lines: Iterable[str]) -> None:
        self._environment.stdout.writelines(f"{line}\n" for line in lines)

    def _names(self, names: Iterable[str]) -> None:
        """Write names for a program: exactly as they are."""
        self._environment.stdout.writelines(name + self._end for name in names)


def _tell(environment: Environment, files: list[HeldFile]) -> None:
    if not files:
        environment.warn("nothing found")
    incomplete = sum(not file.is_complete for file in files)
    if incomplete:
        environment.warn(
            f"{incomplete} of {len(files)} files incomplete: indexing them did not finish",
            'run "ragcli index PATH" to go on',
        )
