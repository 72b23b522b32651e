"""What a run of ``index`` did and what an index holds, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

from ragcli.render.machine import json_line
from ragcli.render.neutral import printable

MOST_TOLD = 5
"""Failures told of one file, such as records without a text; more would bury all others."""

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")
_KILO = 1000


class Failure(Protocol):
    """An input that could not be used, and why."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


class Report(Protocol):
    """What a run of ``index`` did: counts of files, documents and passages, times in seconds."""

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
    def documents_added(self) -> int: ...  # noqa: D102
    @property
    def documents_updated(self) -> int: ...  # noqa: D102
    @property
    def documents_unchanged(self) -> int: ...  # noqa: D102
    @property
    def documents_removed(self) -> int: ...  # noqa: D102
    @property
    def passages_added(self) -> int: ...  # noqa: D102
    @property
    def passages_embedded(self) -> int: ...  # noqa: D102
    @property
    def passages_unchanged(self) -> int: ...  # noqa: D102
    @property
    def passages_removed(self) -> int: ...  # noqa: D102
    @property
    def skipped(self) -> Sequence[Failure]: ...  # noqa: D102
    @property
    def failed(self) -> Sequence[Failure]: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102
    @property
    def seconds_by_stage(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def dry_run(self) -> bool: ...  # noqa: D102


class Outcome(Protocol):
    """What became of one file in a run of ``index``."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def documents(self) -> int: ...  # noqa: D102
    @property
    def passages(self) -> int: ...  # noqa: D102


def failure_line(failure: Failure) -> str:
    """Return one line that names the input that could not be used and why."""
    return f"{printable(failure.path)}: {printable(failure.reason)}"


def failure_lines(failures: Iterable[Failure]) -> Iterator[str]:
    """Yield a line for each failure, of one file the first ``MOST_TOLD`` and how many more."""
    for path, of_file in groupby(failures, key=lambda failure: failure.path):
        told = list(of_file)
        yield from map(failure_line, told[:MOST_TOLD])
        if len(told) > MOST_TOLD:
            rest = len(told) - MOST_TOLD
            yield f"{printable(path)}: and {rest} more like these; --json and --log name them all"


def outcome_line(outcome: Outcome) -> str:
    """Return one line that says what became, or would become, of a file."""
    reason = f"  ({printable(outcome.reason)})" if outcome.reason else ""
    return f"{outcome.status:<9}  {printable(outcome.path)}{reason}"


def outcome_json(outcome: Outcome, time: str) -> str:
    """Return what became of a file at ``time`` (ISO 8601) as one JSON object."""
    return json_line(
        {
            "time": time,
            "path": outcome.path,
            "status": outcome.status,
            "reason": outcome.reason,
            "documents": outcome.documents,
            "passages": outcome.passages,
        }
    )


def report_line(report: Report) -> str:
    """Return the one line that sums up a run of ``index``."""
    counts = (
        (report.added, "added"),
        (report.updated, "updated"),
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
        (len(report.skipped), "skipped"),
        (len(report.failed), "failed"),
    )
    told = ", ".join(f"{count} {word}" for count, word in counts if count) or "nothing to do"
    if report.dry_run:
        return f"{told}; nothing was written (--dry-run)"
    embedded = report.passages_embedded
    passages = f"{embedded} passage{'' if embedded == 1 else 's'} embedded"
    return f"{told}; {passages} in {report.seconds:.1f} s → {printable(str(report.index))}"


def report_json(report: Report) -> str:
    """Return the summary of a run of ``index`` as one JSON object.

    ``added``, ``updated``, ``unchanged`` and ``removed`` count files. ``encoder_share`` is the
    share of the time from the first file to read to the last commit that the encoder was busy.
    """
    stages = report.seconds_by_stage
    busy = sum(stages.get(stage, 0.0) for stage in ("read", "embed", "write"))
    return json_line(
        {
            "index": str(report.index),
            "dry_run": report.dry_run,
            "added": report.added,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "removed": report.removed,
            "documents": {
                "added": report.documents_added,
                "updated": report.documents_updated,
                "unchanged": report.documents_unchanged,
                "removed": report.documents_removed,
            },
            "passages": {
                "added": report.passages_added,
                "embedded": report.passages_embedded,
                "unchanged": report.passages_unchanged,
                "removed": report.passages_removed,
            },
            "skipped": [{"path": each.path, "reason": each.reason} for each in report.skipped],
            "failed": [{"path": each.path, "reason": each.reason} for each in report.failed],
            "seconds": round(report.seconds, 3),
            "seconds_by_stage": {stage: round(seconds, 3) for stage, seconds in stages.items()},
            "encoder_share": round(stages.get("embed", 0.0) / busy, 3) if busy else None,
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
