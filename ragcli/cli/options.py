"""Options that several commands share, and the settings behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.config import Settings, resolve_settings

IndexFolder = Annotated[
    Path | None,
    typer.Option(
        "--index",
        metavar="DIR",
        help="Index folder; by default .ragcli in the current folder or above. "
        "[env var: RAGCLI_INDEX]",
    ),
]
EncoderName = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="NAME_OR_PATH",
        help="A sentence-transformers model; by default the one that made the index, "
        "for a new index the built-in all-MiniLM-L6-v2. [env var: RAGCLI_ENCODER]",
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        metavar="PROBABILITY",
        min=0.0,
        max=1.0,
        help="Give no answer below this confidence. [env var: RAGCLI_MIN_CONFIDENCE]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def settings_of(environment: Environment, **flags: object) -> Settings:
    """Return the settings in force; a flag that is ``None`` was not given.

    Raises ``UsageError`` for a setting that cannot be meant.
    """
    return resolve_settings(flags, environment.environ, environment.cwd)
