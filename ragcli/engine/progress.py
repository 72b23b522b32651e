"""How far a run of ``index`` is, told to whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """Files and bytes done of their totals, passages embedded so far.

    Bytes tell the time left better than files do: one file may be most of the work.
    """

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    passages: int


class Meter:
    """Counts what is done and reports it after each step."""

    def __init__(self, report: Callable[[IndexProgress], None]) -> None:
        self._report = report
        self._files_done = self._files_total = self._bytes_done = self._bytes_total = 0
        self.passages = 0

    def start(self, files: int, size: int) -> None:
        """Say how much there is to do: a number of files of ``size`` bytes together."""
        self._files_total, self._bytes_total = files, size
        self._show(0)

    def done(self, files: int, size: int) -> None:
        """Count ``files`` of ``size`` bytes as done."""
        self._files_done += files
        self._bytes_done += size
        self._show(0)

    def embedded(self, passages: int, size: int) -> None:
        """Count passages; the files in work are done up to ``size`` bytes."""
        self.passages += passages
        self._show(size)

    def _show(self, in_work: int) -> None:
        done = min(self._bytes_done + in_work, self._bytes_total)
        self._report(
            IndexProgress(
                min(self._files_done, self._files_total),
                self._files_total,
                done,
                self._bytes_total,
                self.passages,
            )
        )
