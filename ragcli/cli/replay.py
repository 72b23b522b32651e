"""``ragcli replay``: whether recorded answers are still what one would get."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.batch import Batch
from ragcli.cli.environment import Environment
from ragcli.cli.exits import DONE, NOTHING_FOUND, SOME_FAILED
from ragcli.cli.options import AsJson
from ragcli.render.replays import ReplayWriter, replay_json, summary_line

if TYPE_CHECKING:
    from ragcli.engine.record_format import StoredRecord


def replay(
    context: typer.Context,
    *,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Records that ask --record wrote.")],
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Index folder to search; by default the one in each record."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer recorded questions again and tell what differs.

    Each is read twice: from the passages in the record, and from those that a search with the
    recorded settings finds now. Exits with 0 when all are identical, with 1 when something differs
    or there is no record, and with 3 when a line could not be read.
    """
    from ragcli.engine.record_file import read_records
    from ragcli.engine.replaying import replay as replay_records

    environment: Environment = context.obj
    folder = None if index is None else environment.cwd / index
    writer = None if as_json else ReplayWriter(environment.console())
    counts = Counter[bool]()
    with environment.open_lines(file) as lines:
        rows = read_records(lines, "stdin" if file == "-" else file)
        records: Batch[StoredRecord] = Batch(environment, rows)
        for one in replay_records(records, folder):
            counts[one.is_identical] += 1
            if writer is None:
                environment.write_line(replay_json(one))
            else:
                writer.write(one)
                environment.stdout.flush()
    environment.warn(summary_line(counts[True], counts[False], records.n_failed))
    raise typer.Exit(_code(counts, records.n_failed))


def _code(counts: Counter[bool], n_failed: int) -> int:
    if n_failed:
        return SOME_FAILED
    return DONE if counts[True] and not counts[False] else NOTHING_FOUND
