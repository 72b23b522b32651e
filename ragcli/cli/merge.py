"""``ragcli merge``: indexes that were made apart become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import AsJson, WaitForLock, settings_of
from ragcli.render.merger import merge_json, merge_line

if TYPE_CHECKING:
    from ragcli.engine.merging import MergeProgress


def merge(
    context: typer.Context,
    *,
    indexes: Annotated[
        list[Path],
        typer.Argument(metavar="INDEX", help="Index folders, or folders that hold one as .ragcli."),
    ],
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            metavar="DIR",
            help="Index folder to merge into, made when it is missing; by default .ragcli in the "
            "current folder or above. [env var: RAGCLI_INDEX]",
        ),
    ] = None,
    wait: WaitForLock = False,
    as_json: AsJson = False,
) -> None:
    """Join indexes that were made apart; nothing is embedded anew.

    All must be made by the same encoder with the same settings; otherwise nothing is changed. Files
    keep their places on the disk. Of two versions of a file the newer one is taken, and a file that
    is newer in the index merged into stays. Killed or interrupted, the same command goes on where
    it was.
    """
    from ragcli.engine.merging import merge_indexes, target_to_merge_into

    environment: Environment = context.obj
    settings = settings_of(environment, index=index)
    with _progress(environment) as show, _advice_on_interrupt(environment):
        report = merge_indexes(
            [environment.cwd / folder for folder in indexes],
            target_to_merge_into(settings.index, environment.cwd),
            wait=wait,
            progress=show,
        )
    environment.write_line(merge_json(report) if as_json else merge_line(report))


@contextmanager
def _progress(environment: Environment) -> Iterator[Callable[[MergeProgress], None]]:
    """Show a bar on a terminal; elsewhere the reports go nowhere."""
    if not environment.stderr_is_terminal:
        yield lambda _: None
        return
    from ragcli.render.progress import ProgressBar

    with ProgressBar(environment.error_console(), "merging") as bar:

        def show(now: MergeProgress) -> None:
            files = (now.files_done, now.files_total)
            bar.show(files, files, now.passages)

        yield show


@contextmanager
def _advice_on_interrupt(environment: Environment) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        environment.warn("what was merged is kept; run the same command again to go on")
        raise
