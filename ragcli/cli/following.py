"""``ragcli index --watch``: the index follows the files until the person ends it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from ragcli.cli.environment import Environment
from ragcli.errors import RagcliError
from ragcli.render.summary import failure_line, failure_lines, outcome_line, report_json

if TYPE_CHECKING:
    from ragcli.engine.outcomes import IndexReport, Outcome

Tell = Callable[["Outcome"], None]

_CHANGES = frozenset({"added", "updated", "removed"})


def follow(
    environment: Environment,
    moments: Iterable[None],
    bring_in_step: Callable[[Tell], IndexReport],
    *,
    before: IndexReport,
    log: Tell,
    as_json: bool,
    quiet: bool,
) -> None:
    """Bring the index in step at each of the ``moments``, and tell what is new.

    What failed ``before`` is not told again while it lasts. An error that a person can mend, such
    as a full disk, is told, and the next moment tries again.
    """
    told: Collection[str] = {failure_line(item) for item in (*before.skipped, *before.failed)}
    for _ in moments:
        news: list[Outcome] = []
        try:
            report = bring_in_step(news.append)
        except RagcliError as error:
            environment.warn(error.message, error.remedy)
            continue
        news = [outcome for outcome in news if _is_news(outcome, told)]
        told = {failure_line(item) for item in (*report.skipped, *report.failed)}
        for outcome in news:
            log(outcome)
            if not (outcome.reason or as_json or quiet):
                environment.write_line(outcome_line(outcome))
        for line in failure_lines(outcome for outcome in news if outcome.reason):
            environment.warn(line)
        if news and as_json and not quiet:
            environment.write_line(report_json(report))


def telling_changes(environment: Environment, tell: Tell, *, wanted: bool) -> Tell:
    """Print what would change as well; what is unchanged needs no line."""

    def told(outcome: Outcome) -> None:
        tell(outcome)
        if wanted and outcome.status in _CHANGES:
            environment.write_line(outcome_line(outcome))

    return told


def _is_news(outcome: Outcome, told: Collection[str]) -> bool:
    return outcome.status in _CHANGES or (
        bool(outcome.reason) and failure_line(outcome) not in told
    )
