"""What an index holds and which models made it, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ragcli.render.machine import json_line
from ragcli.render.neutral import printable
from ragcli.render.summary import byte_size
from ragcli.render.tuning import Tuned, tuned_fields, tuned_words

_REVISION_LENGTH = 12


class MadeBy(Protocol):
    """The encoder and the settings that made an index."""

    @property
    def encoder_name(self) -> str: ...  # noqa: D102
    @property
    def encoder_revision(self) -> str: ...  # noqa: D102
    @property
    def dimension(self) -> int: ...  # noqa: D102
    @property
    def max_tokens(self) -> int: ...  # noqa: D102


class Summary(Protocol):
    """Counts, size in bytes, times in UTC, and what made the index."""

    @property
    def sources(self) -> int: ...  # noqa: D102
    @property
    def documents(self) -> int: ...  # noqa: D102
    @property
    def passages(self) -> int: ...  # noqa: D102
    @property
    def bytes_on_disk(self) -> int: ...  # noqa: D102
    @property
    def fingerprint(self) -> MadeBy: ...  # noqa: D102
    @property
    def created_at(self) -> datetime: ...  # noqa: D102
    @property
    def updated_at(self) -> datetime: ...  # noqa: D102
    @property
    def schema_version(self) -> int: ...  # noqa: D102


def status_lines(summary: Summary, folder: Path, tuned: Tuned | None = None) -> Iterator[str]:
    """Yield what ``status`` tells a person, a line each, values aligned."""
    made_by = summary.fingerprint
    revision = made_by.encoder_revision[:_REVISION_LENGTH]
    rows = {
        "index": str(folder),
        "files": str(summary.sources),
        "documents": str(summary.documents),
        "passages": f"{summary.passages} of at most {made_by.max_tokens} tokens",
        "size": byte_size(summary.bytes_on_disk),
        "encoder": f"{made_by.encoder_name} ({made_by.dimension} dimensions, {revision})",
        "created": _local(summary.created_at),
        "updated": _local(summary.updated_at),
    }
    if tuned is not None and tuned.n_questions:
        rows["tuned"] = tuned_words(tuned)
    width = max(map(len, rows))
    return (f"{label:<{width}}  {printable(value)}" for label, value in rows.items())


def status_json(summary: Summary, folder: Path, tuned: Tuned | None = None) -> str:
    """Return the same as one JSON object; times in UTC."""
    made_by = summary.fingerprint
    return json_line(
        {
            "index": str(folder),
            "files": summary.sources,
            "documents": summary.documents,
            "passages": summary.passages,
            "bytes": summary.bytes_on_disk,
            "encoder": {
                "name": made_by.encoder_name,
                "revision": made_by.encoder_revision,
                "dimension": made_by.dimension,
            },
            "max_tokens": made_by.max_tokens,
            "tuned": None if tuned is None else tuned_fields(tuned),
            "created_at": summary.created_at.isoformat(),
            "updated_at": summary.updated_at.isoformat(),
            "index_schema": summary.schema_version,
        }
    )


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
