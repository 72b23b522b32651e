"""``ragcli tune``: fit the search to the person's own judged questions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.judged import (
    QUERIES_HELP,
    Qrels,
    missing_teller,
    question_counter,
    read_judged_files,
)
from ragcli.cli.options import AsJson, EncoderName, IndexFolder, settings_of
from ragcli.config import Settings
from ragcli.errors import UsageError
from ragcli.render.machine import json_line
from ragcli.render.tuning import tuning_json, tuning_lines

HELP = 'try "ragcli tune --help"'


def tune(
    context: typer.Context,
    *,
    queries: Annotated[Path | None, typer.Option(metavar="FILE", help=QUERIES_HELP)] = None,
    qrels: Qrels = None,
    index: IndexFolder = None,
    encoder: EncoderName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure, and leave the index as it is.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take the best setting, also where it may be chance.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget what the index was tuned to.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fit the search to your questions: its weights, and how many passages it shows.

    Tries every weight of meaning against words on your judged questions, and keeps in the index
    what is better than the default on questions held out, beyond chance. search, ask and eval
    retrieval then use it, where no flag, variable or ragcli.toml says otherwise; ask only takes the
    weights. Needs 20 questions; eval init drafts some.
    """
    from ragcli.engine import tuning as use_case
    from ragcli.store import locate_index

    environment: Environment = context.obj
    if (queries is None) == (not reset):
        raise UsageError("tune takes --queries FILE or --reset", HELP)
    if reset and dry_run:
        raise UsageError("--reset and --dry-run exclude each other", "choose one")
    settings = settings_of(environment, index=index, encoder=encoder)
    folder = locate_index(settings.index, environment.cwd)
    if queries is None:
        use_case.keep(folder, None)
        environment.write_line(json_line({"kept": False}) if as_json else "back to the defaults")
        return
    from ragcli.engine.asking import DEFAULT_K as ASK_K

    judged = read_judged_files(environment, queries, qrels)
    tuning = use_case.tune(
        folder,
        judged.texts,
        judged.qrels,
        force=force,
        encoder_name=settings.encoder,
        named_from=environment.cwd,
        progress=question_counter(environment),
        tell_missing=missing_teller(environment),
    )
    is_kept = tuning.tuned is not None and not dry_run
    if is_kept:
        use_case.keep(folder, tuning.tuned)
    lines = (
        [tuning_json(tuning, is_kept=is_kept)]
        if as_json
        else tuning_lines(
            tuning,
            use_case.DEFAULT_SETTING,
            least_questions=use_case.LEAST_QUESTIONS,
            ask_k=ASK_K,
            is_kept=is_kept,
        )
    )
    for line in lines:
        environment.write_line(line)
    _tell_overruled(environment, settings)


def _tell_overruled(environment: Environment, settings: Settings) -> None:
    """Name the settings that go before what the index was tuned to."""
    overruling = [
        key for key in ("fusion", "dense_weight", "k") if getattr(settings, key) is not None
    ]
    if overruling:
        names = ", ".join(overruling)
        environment.warn(f"ragcli.toml or RAGCLI_* sets {names}: that goes before the index's own")
