"""``ragcli eval``: measure the models on judged questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import AsJson
from ragcli.render.scores import score_json, score_line

evaluate = typer.Typer(
    help="Measure the models on judged questions.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@evaluate.command("reader")
def evaluate_reader(
    context: typer.Context,
    *,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help='JSON lines, plain or .gz: {"id", "question", "contexts", "answers"}.',
        ),
    ],
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Take a seeded sample of this many rows."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the sample.")] = 0,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            metavar="PROBABILITY",
            min=0.0,
            max=1.0,
            help="Abstain below this confidence; 0 always answers.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Reader weights; by default those that come along."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the reader on questions that bring their contexts.

    Prints exact match and F1 in percent, as SQuAD's script defines them. A row without answers is
    right when the reader abstains: where it finds "no answer" likelier than not or, with
    --min-confidence, where it is less confident than that, as ask does.
    """
    from ragcli.engine.evaluating import evaluate_reader as measure

    environment: Environment = context.obj
    score = measure(
        [environment.cwd / file for file in files],
        limit=limit,
        seed=seed,
        min_confidence=min_confidence,
        weights=None if weights is None else environment.cwd / weights,
        progress=_progress(environment),
    )
    environment.write_line(score_json(score) if as_json else score_line(score))


def _progress(environment: Environment) -> Callable[[int, int], None]:
    """Count rows on a terminal's stderr; elsewhere say nothing."""
    if not environment.stderr_is_terminal:
        return lambda done, total: None

    def show(done: int, total: int) -> None:
        environment.stderr.write(
            f"\r{done}/{total} questions" + ("\r\033[K" if done == total else "")
        )
        environment.stderr.flush()

    return show
