"""``ragcli export`` and ``ragcli import``: an index as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import AsJson, IndexFolder, WaitForLock, settings_of
from ragcli.render.upkeep import exported_line, imported_line, moved_json


def export(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    index: IndexFolder = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write the file also if it exists already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the index to one file, to move it or to keep it.

    The file holds the texts of all documents, their vectors and what the index was tuned to, with a
    hash over all of it. ragcli import makes an index of it, here or on another machine, without the
    documents and without embedding anything. While another run writes the index, what is exported
    is its last commit.
    """
    from ragcli.engine.maintaining import export_index
    from ragcli.store import locate_index

    environment: Environment = context.obj
    settings = settings_of(environment, index=index)
    folder = locate_index(settings.index, environment.cwd)
    moved = export_index(folder, environment.cwd / file, replace=force)
    environment.write_line(moved_json(moved) if as_json else exported_line(moved, str(file)))


def import_(
    context: typer.Context,
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File that ragcli export has written.")
    ],
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            metavar="DIR",
            help="Index folder to make; by default .ragcli in the current folder. "
            "[env var: RAGCLI_INDEX]",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the index that is there.")
    ] = False,
    wait: WaitForLock = False,
    as_json: AsJson = False,
) -> None:
    """Make an index of a file that export has written; nothing is embedded.

    A file that is damaged, or that something else has written, is refused, and an index that is
    there stays as it was. Paths are meant from the folder that holds the index: beside a copy of
    the documents, the next ragcli index finds them unchanged.
    """
    from ragcli.engine.maintaining import folder_to_import_into, import_index

    environment: Environment = context.obj
    settings = settings_of(environment, index=index)
    folder = folder_to_import_into(settings.index, environment.cwd)
    moved = import_index(environment.cwd / file, folder, replace=replace, wait=wait)
    environment.write_line(moved_json(moved) if as_json else imported_line(moved))
