"""``ragcli compact``: give back the space of what was removed."""

from __future__ import annotations

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import AsJson, IndexFolder, WaitForLock, settings_of
from ragcli.render.upkeep import compaction_json, compaction_lines


def compact(
    context: typer.Context,
    *,
    index: IndexFolder = None,
    wait: WaitForLock = False,
    as_json: AsJson = False,
) -> None:
    """Give back the space of what was removed from the index.

    Writes the index anew without gaps and tells its size before and after. Searches can go on
    meanwhile, and a kill leaves the index as it was. Needs as much free space as the index takes. A
    rebuild that was begun and not finished is given up.
    """
    from ragcli.engine.maintaining import compact as use_case
    from ragcli.store import locate_index

    environment: Environment = context.obj
    settings = settings_of(environment, index=index)
    compaction = use_case(locate_index(settings.index, environment.cwd), wait=wait)
    for line in [compaction_json(compaction)] if as_json else compaction_lines(compaction):
        environment.write_line(line)
