"""What a run of ``index`` did and what an index holds, in words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ragcli.render.machine import json_line
from ragcli.render.neutral import printable

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")
_KILO = 1000


class Failure(Protocol):
    """An input that could not be used, and why."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


class Report(Protocol):
    """What a run of ``index`` did: counts of files and of passages, wall time in seconds."""

    @property
    def index(self) -> Path: ...  # noqa: D102
    @property
    def added(self) -> int: ...  # noqa: D102
    @property
    def updated(self) -> int: ...  # noqa: D102
    @property
    def unchanged(self) -> int: ...  # noqa: D102
    @property
    def removed(self) -> int: ...  # noqa: D102
    @property
    def passages_added(self) -> int: ...  # noqa: D102
    @property
    def passages_removed(self) -> int: ...  # noqa: D102
    @property
    def failed(self) -> Sequence[Failure]: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


def failure_line(failure: Failure) -> str:
    """Return one line that names the input that could not be used and why."""
    return f"{printable(failure.path)}: {printable(failure.reason)}"


def report_line(report: Report) -> str:
    """Return the one line that sums up a run of ``index``."""
    counts = (
        (report.added, "added"),
        (report.updated, "updated"),
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
        (len(report.failed), "failed"),
    )
    told = ", ".join(f"{count} {word}" for count, word in counts if count) or "nothing to do"
    passages = f"{report.passages_added} passages embedded"
    return f"{told}; {passages} in {report.seconds:.1f} s → {printable(str(report.index))}"


def report_json(report: Report) -> str:
    """Return the summary of a run of ``index`` as one JSON object."""
    failed = [{"path": failure.path, "reason": failure.reason} for failure in report.failed]
    return json_line(
        {
            "index": str(report.index),
            "added": report.added,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "removed": report.removed,
            "passages_added": report.passages_added,
            "passages_removed": report.passages_removed,
            "failed": failed,
            "seconds": round(report.seconds, 3),
        }
    )


def byte_size(count: int) -> str:
    """Return a size for a person, in steps of 1000: ``1.4 MB``."""
    size, unit = float(count), _BYTE_UNITS[0]
    for unit in _BYTE_UNITS:
        if size < _KILO or unit == _BYTE_UNITS[-1]:
            break
        size /= _KILO
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
