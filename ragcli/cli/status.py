"""``ragcli status``: what the index holds, which models made it, its size on disk."""

from __future__ import annotations

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import AsJson, IndexFolder, settings_of
from ragcli.render.status import status_json, status_lines


def status(context: typer.Context, index: IndexFolder = None, as_json: AsJson = False) -> None:
    """Tell what the index holds, what made it, its size."""
    from ragcli.engine.status import describe, describe_tuned
    from ragcli.store import locate_index

    environment: Environment = context.obj
    settings = settings_of(environment, index=index)
    folder = locate_index(settings.index, environment.cwd)
    summary, tuned = describe(folder), describe_tuned(folder)
    if as_json:
        environment.write_line(status_json(summary, folder, tuned))
    else:
        for line in status_lines(summary, folder, tuned):
            environment.write_line(line)
