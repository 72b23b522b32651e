"""Options that several commands share, and the settings behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.config import Settings, resolve_settings

if TYPE_CHECKING:
    from ragcli.retrieval.filters import Filters
    from ragcli.retrieval.ranking import Ranking

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
PassagesToRead = Annotated[
    int | None,
    typer.Option("-k", metavar="N", min=1, help="Passages to read. [env var: RAGCLI_K]"),
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="How passages are found: hybrid, dense (by meaning) or lexical (by words; loads no "
        "model). [env var: RAGCLI_MODE; default: hybrid]",
    ),
]
Fusion = Annotated[
    str | None,
    typer.Option(
        "--fusion",
        metavar="METHOD",
        help="How hybrid joins the two: mean (of the normalised scores) or rrf (of the ranks). "
        "[env var: RAGCLI_FUSION; default: what the index was tuned to, else mean]",
    ),
]
DenseWeight = Annotated[
    float | None,
    typer.Option(
        "--dense-weight",
        metavar="WEIGHT",
        min=0.0,
        max=1.0,
        help="Share of the meaning in hybrid: 0 only words count, 1 only meaning. [env var: "
        "RAGCLI_DENSE_WEIGHT; default: what the index was tuned to, else 0.5]",
    ),
]
Rerank = Annotated[
    bool | None,
    typer.Option(
        "--rerank/--no-rerank",
        help="Score the best anew by attention, in the end the reader's, and search once more, "
        "wider: better, for some tenths of a second a query. [env var: RAGCLI_RERANK; default: no]",
    ),
]
PathGlobs = Annotated[
    list[str] | None,
    typer.Option(
        "--path",
        metavar="GLOB",
        help="Only in files whose path matches, as git matches: 'docs/**', '*.pdf', '!drafts/**'; "
        "the last one that matches decides. Repeatable.",
    ),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="CONDITION",
        help="Only in documents whose metadata fulfil it: 'year>=2020', 'author~smith', "
        "'suffix=.pdf', 'modified>=2024-06-01'; = != > >= < <= and ~ (contains). Repeatable.",
    ),
]
PerDocument = Annotated[
    int | None,
    typer.Option(
        "--per-document", metavar="N", min=1, help="At most so many passages of one document."
    ),
]
Diversity = Annotated[
    float,
    typer.Option(
        "--diversity",
        metavar="SHARE",
        min=0.0,
        max=1.0,
        help="Put back passages that repeat better ones: 0 not at all, 1 as far as can be.",
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
AnswerForm = Annotated[
    str | None,
    typer.Option(
        "--form",
        metavar="FORM",
        help="short: a few words; sentence: the sentence that holds them. [default: short]",
    ),
]
Beams = Annotated[
    int | None,
    typer.Option(
        "--beams",
        metavar="N",
        min=1,
        help="Carry on this many beginnings of an answer side by side, at most 16. [default: 4, "
        "of a sentence 1]",
    ),
]
WaitForLock = Annotated[
    bool, typer.Option("--wait", help="Wait while another process is writing the index.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def ranking_of(
    settings: Settings,
    *,
    rerank: bool | None = None,
    per_document: int | None = None,
    diversity: float = 0.0,
) -> Ranking:
    """How passages are to be ranked; raises ``UsageError`` for an unknown mode or fusion.

    Fusion and weight stay open where no setting names them: the index may know better ones.
    ``rerank`` is the flag; a setting to rerank is meant for hybrid mode alone.
    """
    from ragcli.retrieval.ranking import Ranking

    default = Ranking()
    return Ranking(
        settings.mode or default.mode,
        settings.fusion,
        settings.dense_weight,
        rerank=bool(settings.rerank) and (bool(rerank) or settings.mode in {None, default.mode}),
        per_document=per_document,
        diversity=diversity,
    )


def filters_of(
    environment: Environment, globs: list[str] | None, conditions: list[str] | None
) -> Filters:
    """What a search is restricted to; raises ``UsageError`` for what is no condition or glob."""
    from ragcli.engine.batches import as_unicode
    from ragcli.retrieval.filters import make_filters

    return make_filters(
        [as_unicode(text) for text in conditions or ()],
        [as_unicode(text) for text in globs or ()],
        environment.cwd.resolve().as_posix(),
    )


def settings_of(environment: Environment, **flags: object) -> Settings:
    """Return the settings in force; a flag that is ``None`` was not given.

    Raises ``UsageError`` for a setting that cannot be meant.
    """
    return resolve_settings(flags, environment.environ, environment.cwd)
