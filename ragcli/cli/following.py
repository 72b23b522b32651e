"""``ragcli index --watch``: the index follows the files until the person ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

from ragcli.cli.environment import Environment
from ragcli.errors import RagcliError
from ragcli.render.summary import failure_line, failure_lines, outcome_line, report_json

if TYPE_CHECKING:
    from ragcli.engine.outcomes import IndexReport, Outcome

Tell = Callable[["Outcome"], None]

RETRY_SECONDS = 10.0
"""How long to wait after an error."""

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

    What failed ``before`` is not told again while it lasts. After an error that a person can mend,
    such as a full disk, it is tried again until it succeeds.
    """
    known: Collection[str] = {failure_line(item) for item in (*before.skipped, *before.failed)}
    tell = telling_changes(environment, log, wanted=not (as_json or quiet))
    for _ in moments:
        news = _News(known, tell)
        report = _insist(environment, partial(bring_in_step, news.hear))
        known = {failure_line(item) for item in (*report.skipped, *report.failed)}
        for line in failure_lines(outcome for outcome in news.outcomes if outcome.reason):
            environment.warn(line)
        if news.outcomes and as_json and not quiet:
            environment.write_line(report_json(report))


class _News:
    """Hears what became of each file in a run, and tells what changed and what newly failed."""

    def __init__(self, known: Collection[str], tell: Tell) -> None:
        self._known = known
        self._tell = tell
        self.outcomes: list[Outcome] = []

    def hear(self, outcome: Outcome) -> None:
        is_failure = bool(outcome.reason)
        if outcome.status in _CHANGES or (is_failure and failure_line(outcome) not in self._known):
            self.outcomes.append(outcome)
            self._tell(outcome)


def _insist(environment: Environment, attempt: Callable[[], IndexReport]) -> IndexReport:
    """Try until it succeeds; tell each new reason why it does not."""
    told = ""
    while True:
        try:
            return attempt()
        except RagcliError as error:
            if error.message != told:
                environment.warn(error.message, error.remedy)
            told = error.message
            time.sleep(RETRY_SECONDS)


def telling_changes(environment: Environment, tell: Tell, *, wanted: bool) -> Tell:
    """Print what would change as well; what is unchanged needs no line."""

    def told(outcome: Outcome) -> None:
        tell(outcome)
        if wanted and outcome.status in _CHANGES:
            environment.write_line(outcome_line(outcome))

    return told
