"""Judged queries as the commands take them, and what is said about those left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcli.cli.environment import Environment

if TYPE_CHECKING:
    from ragcli.engine.judged import JudgedQueries

QUERIES_HELP = (
    'Questions, JSON lines {"id", "question", "relevant": [documents]} as eval init drafts them; '
    "also BEIR's and TREC's, or a line each: id, tab, text. Plain or .gz."
)
Qrels = Annotated[
    Path | None,
    typer.Option(
        "--qrels",
        metavar="FILE",
        help="Judgements that do not stand beside the queries, a line each: query-id corpus-id "
        "score, or TREC's four columns.",
    ),
]
_NAMED = 3
"""Missing documents that are named; of more there is only the number."""


def read_judged_files(environment: Environment, queries: Path, qrels: Path | None) -> JudgedQueries:
    """Read both files; tells on stderr how many questions are still blank."""
    from ragcli.engine.judged import read_judged

    cwd = environment.cwd
    judged = read_judged(cwd / queries, None if qrels is None else cwd / qrels)
    if judged.n_blank:
        total = judged.n_blank + len(judged.texts)
        environment.warn(f"{judged.n_blank} of {total} questions are blank and left out")
    return judged


def missing_teller(environment: Environment) -> Callable[[Sequence[str]], None]:
    """Tell on stderr which judged documents are not in the index: they cannot be found."""
    from ragcli.engine.document_names import REMEDY

    def tell(names: Sequence[str]) -> None:
        first = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        message = f"judged relevant, but not in the index: {first} ({len(names)} in all)"
        environment.warn(message, REMEDY)

    return tell


def question_counter(environment: Environment) -> Callable[[int, int], None]:
    """Count questions on a terminal's stderr; elsewhere say nothing."""
    if not environment.stderr_is_terminal:
        return lambda done, total: None

    def show(done: int, total: int) -> None:
        environment.stderr.write(
            f"\r{done}/{total} questions" + ("\r\033[K" if done == total else "")
        )
        environment.stderr.flush()

    return show
