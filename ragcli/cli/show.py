"""``ragcli show``: the stored text of a passage, a file or a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import AsJson, IndexFolder, PathGlobs, filters_of, settings_of

if TYPE_CHECKING:
    from ragcli.engine.showing import ShownDocument, ShownPassage


def show(
    context: typer.Context,
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="PATH|DOCUMENT_ID|PASSAGE_ID",
            show_default=False,
            help="A file, the id of a document, or the number of a passage, as search --json "
            "gives them. A path comes before an id, and an id before a number.",
        ),
    ],
    neighbours: Annotated[
        int | None,
        typer.Option(
            "--context",
            "-C",
            metavar="N",
            min=0,
            help="Passages to show before and behind a passage. [default: 1]",
        ),
    ] = None,
    path: PathGlobs = None,
    index: IndexFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show the text that the index holds; the file itself is not needed.

    A passage is shown between its neighbours, with a mark in the margin. Exits with 1 when the
    index has no such passage, file or document.
    """
    from ragcli.engine.showing import show as find
    from ragcli.store import locate_index

    environment: Environment = context.obj
    settings = settings_of(environment, index=index)
    shown = find(
        locate_index(settings.index, environment.cwd),
        name,
        neighbours=neighbours,
        matches=filters_of(environment, path, None).matches,
        seen_from=environment.cwd,
    )
    if as_json:
        _write_json(environment, shown)
    else:
        _write(environment, shown)


def _write_json(environment: Environment, shown: Iterable[ShownPassage | ShownDocument]) -> None:
    from ragcli.engine.showing import ShownPassage
    from ragcli.render.stored import document_json, passage_json

    for one in shown:
        if isinstance(one, ShownPassage):
            environment.write_line(passage_json(one.stored, asked=one.asked))
        else:
            environment.write_line(document_json(one.document, one.spans))


def _write(environment: Environment, shown: Iterable[ShownPassage | ShownDocument]) -> None:
    """Write text; a blank line between two passages or documents."""
    from ragcli.engine.showing import ShownPassage
    from ragcli.render.stored import document_block, document_heading, passage_lines

    console = environment.console()
    for position, one in enumerate(shown):
        if position:
            environment.stdout.write("\n")
        if isinstance(one, ShownPassage):
            for line in passage_lines(one.stored, console, asked=one.asked):
                console.print(line, soft_wrap=True)
            continue
        if not one.is_alone:
            console.print(document_heading(one.document), style="cyan", soft_wrap=True)
        environment.stdout.write(document_block(one.document))
