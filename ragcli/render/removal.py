"""What left an index, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ragcli.render.machine import json_line
from ragcli.render.neutral import printable


class Removed(Protocol):
    """A file that was removed, or a document of it."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def document_id(self) -> str | None: ...  # noqa: D102
    @property
    def documents(self) -> int: ...  # noqa: D102
    @property
    def passages(self) -> int: ...  # noqa: D102
    @property
    def on_disk(self) -> bool: ...  # noqa: D102


class Report(Protocol):
    """What was removed, or with ``dry_run`` what would be."""

    @property
    def index(self) -> Path: ...  # noqa: D102
    @property
    def removed(self) -> Sequence[Removed]: ...  # noqa: D102
    @property
    def dry_run(self) -> bool: ...  # noqa: D102


def removal_lines(report: Report) -> Iterator[str]:
    """Yield the line that sums up a removal; before it, of a dry run, one for each thing."""
    if report.dry_run:
        for one in report.removed:
            document = "" if one.document_id is None else f"  {printable(one.document_id)}"
            yield f"removed    {printable(one.path)}{document}"
    documents = sum(one.documents for one in report.removed)
    passages = sum(one.passages for one in report.removed)
    files = [one for one in report.removed if one.document_id is None]
    told = f"{_counted(documents, 'document')}, {_counted(passages, 'passage')}"
    if files:
        told = f"{_counted(len(files), 'file')}, {told}"
    verb = "would be removed" if report.dry_run else "removed"
    yield f"{told} {verb} → {printable(str(report.index))}"


def removal_json(report: Report) -> str:
    """Return a removal as one JSON object."""
    return json_line(
        {
            "index": str(report.index),
            "dry_run": report.dry_run,
            "removed": [
                {
                    "path": one.path,
                    "document_id": one.document_id,
                    "documents": one.documents,
                    "passages": one.passages,
                    "on_disk": one.on_disk,
                }
                for one in report.removed
            ],
        }
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
