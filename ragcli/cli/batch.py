"""What a command is to work on: rows in order, of which some cannot be meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from ragcli.cli.environment import Environment
from ragcli.render.summary import failure_line

if TYPE_CHECKING:
    from ragcli.corpus.problem import Problem

Row = TypeVar("Row")


class Batch(Generic[Row]):
    """Iterates over the good rows as they are read; tells of the bad ones on stderr.

    ``n_failed`` counts the bad ones met so far.
    """

    def __init__(self, environment: Environment, rows: Iterable[Row | Problem]) -> None:
        self._environment = environment
        self._rows = rows
        self.n_failed = 0

    @property
    def failed(self) -> bool:
        """Whether a bad row was met."""
        return self.n_failed > 0

    def __iter__(self) -> Iterator[Row]:
        """Yield the good rows, in order."""
        from ragcli.corpus.problem import Problem

        for row in self._rows:
            if isinstance(row, Problem):
                self.n_failed += 1
                self._environment.warn(failure_line(row))
            else:
                yield row
