"""What a merge of indexes did, in words and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ragcli.render.machine import json_line
from ragcli.render.neutral import printable


class Report(Protocol):
    """What a merge did: counts of files and of passages, wall time in seconds."""

    @property
    def index(self) -> Path: ...  # noqa: D102
    @property
    def indexes(self) -> int: ...  # noqa: D102
    @property
    def added(self) -> int: ...  # noqa: D102
    @property
    def replaced(self) -> int: ...  # noqa: D102
    @property
    def unchanged(self) -> int: ...  # noqa: D102
    @property
    def kept(self) -> int: ...  # noqa: D102
    @property
    def superseded(self) -> int: ...  # noqa: D102
    @property
    def passages_added(self) -> int: ...  # noqa: D102
    @property
    def passages_removed(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


def merge_line(report: Report) -> str:
    """Return the one line that sums up a merge."""
    counts = (
        (report.added, "added"),
        (report.replaced, "replaced"),
        (report.unchanged, "unchanged"),
        (report.kept, "kept, newer in the target"),
        (report.superseded, "older than in another index"),
    )
    told = ", ".join(f"{count} {words}" for count, words in counts if count) or "nothing to do"
    passages = f"{report.passages_added} passages copied"
    return f"{told}; {passages} in {report.seconds:.1f} s → {printable(str(report.index))}"


def merge_json(report: Report) -> str:
    """Return the summary of a merge as one JSON object."""
    return json_line(
        {
            "index": str(report.index),
            "indexes": report.indexes,
            "added": report.added,
            "replaced": report.replaced,
            "unchanged": report.unchanged,
            "kept": report.kept,
            "superseded": report.superseded,
            "passages_added": report.passages_added,
            "passages_removed": report.passages_removed,
            "seconds": round(report.seconds, 3),
        }
    )
