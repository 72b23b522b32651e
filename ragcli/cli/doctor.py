"""``ragcli doctor``: whether an index and what it needs are sound, and mending it."""

from __future__ import annotations

from typing import Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.exits import DONE, NOTHING_FOUND
from ragcli.cli.options import AsJson, IndexFolder, WaitForLock, settings_of
from ragcli.render.upkeep import finding_json, finding_lines, mended_json, mended_lines


def doctor(
    context: typer.Context,
    *,
    index: IndexFolder = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is damaged; what is sound stays as it is.")
    ] = False,
    wait: WaitForLock = False,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Leave encoder and reader alone, and load neither.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check an index, and mend it.

    Reads all of it: whether the database is whole, every passage is its document's text and has its
    vector, and every word is indexed; then whether the models are those that made it. Exits with 1
    when something is damaged. --repair keeps every text that can be read, makes anew what is
    derived from the texts, and leaves a copy of a database with holes. Files of which something may
    be lost are named; the next ragcli index reads them again.
    """
    from ragcli.engine import diagnosing
    from ragcli.store import DAMAGED, locate_index

    environment: Environment = context.obj
    settings = settings_of(environment, index=index)
    folder = locate_index(settings.index, environment.cwd)

    def tell(done: str) -> None:
        lines = [mended_json(done)] if as_json else mended_lines(done, environment.width)
        for line in lines:
            environment.write_line(line)

    if repair:
        diagnosing.repair(folder, wait=wait, with_models=not no_model, tell=tell)
    is_damaged = False
    for finding in diagnosing.diagnose(folder, with_models=not no_model):
        is_damaged |= finding.state == DAMAGED
        shown = [finding_json(finding)] if as_json else finding_lines(finding, environment.width)
        for line in shown:
            environment.write_line(line)
    raise typer.Exit(NOTHING_FOUND if is_damaged else DONE)
