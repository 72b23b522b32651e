"""``ragcli remove``: take files and documents out of the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import AsJson, IndexFolder, WaitForLock, settings_of
from ragcli.errors import UsageError
from ragcli.render.removal import removal_json, removal_lines

if TYPE_CHECKING:
    from ragcli.engine.removing import RemovalReport


def remove(
    context: typer.Context,
    *,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            show_default=False,
            help="Files, and folders with all beneath them. With --document: where it is.",
        ),
    ] = None,
    documents: Annotated[
        list[str] | None,
        typer.Option(
            "--document",
            metavar="ID",
            help="Remove only this document, such as one record of a file. Repeatable.",
        ),
    ] = None,
    index: IndexFolder = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Tell what would be removed; remove nothing.")
    ] = False,
    wait: WaitForLock = False,
    as_json: AsJson = False,
) -> None:
    """Take files or documents out of the index, never off the disk.

    A file that is still on the disk comes back when its folder is indexed again, unless
    .ragcliignore names it. A document stays out until its file changes, or until --rebuild. All
    that is named is removed, or, when the index lacks any of it, nothing is: that exits with 1.
    """
    from ragcli.engine.removing import remove_documents, remove_files
    from ragcli.store import locate_index

    environment: Environment = context.obj
    if not paths and not documents:
        raise UsageError("remove takes a PATH or --document ID", 'try "ragcli remove --help"')
    settings = settings_of(environment, index=index)
    folder = locate_index(settings.index, environment.cwd)
    if documents:
        report = remove_documents(
            folder, documents, paths or (), wait=wait, dry_run=dry_run, seen_from=environment.cwd
        )
    else:
        report = remove_files(
            folder, paths or (), wait=wait, dry_run=dry_run, seen_from=environment.cwd
        )
    if as_json:
        environment.write_line(removal_json(report))
        return
    for line in removal_lines(report):
        environment.write_line(line)
    _tell(environment, report)


def _tell(environment: Environment, report: RemovalReport) -> None:
    on_disk = [one for one in report.removed if one.on_disk and one.document_id is None]
    if on_disk:
        count = f"{len(on_disk)} of these files are" if len(on_disk) > 1 else "the file is"
        environment.warn(
            f"{count} still on the disk and will be read again by the next ragcli index",
            "to keep them out, name them in .ragcliignore",
        )
