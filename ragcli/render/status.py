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
_AUTO = "auto"


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


class Derivation(Protocol):
    """What the vectors' index is, and what was measured of it: see the store's."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def factory(self) -> str: ...  # noqa: D102
    @property
    def passages(self) -> int: ...  # noqa: D102
    @property
    def is_exact(self) -> bool: ...  # noqa: D102
    @property
    def enough_at(self) -> int | None: ...  # noqa: D102
    @property
    def requested_recall(self) -> float | None: ...  # noqa: D102
    @property
    def measured_recall(self) -> float | None: ...  # noqa: D102
    @property
    def parameter(self) -> str | None: ...  # noqa: D102
    @property
    def setting(self) -> int | None: ...  # noqa: D102


class Summary(Protocol):
    """Counts, size in bytes, times in UTC, what made the index, and how vectors are searched."""

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
    @property
    def index_choice(self) -> str: ...  # noqa: D102
    @property
    def requested_recall(self) -> float: ...  # noqa: D102
    @property
    def derivation(self) -> Derivation | None: ...  # noqa: D102


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
        "vectors": _index_type(summary),
        "recall@10": _recall(summary),
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
            "vectors": _vectors_json(summary),
            "created_at": summary.created_at.isoformat(),
            "updated_at": summary.updated_at.isoformat(),
            "index_schema": summary.schema_version,
        }
    )


def _index_type(summary: Summary) -> str:
    """What the index is, and whether that was chosen."""
    found = summary.derivation
    chosen = "chosen automatically" if summary.index_choice == _AUTO else "as chosen"
    if found is None:
        return 'not made yet: run "ragcli index PATH"'
    if found.enough_at is not None:
        return f"flat, until there are {found.enough_at} passages for {found.kind}"
    made = "" if found.kind in {"flat", found.factory} else f" ({found.factory})"
    return f"{found.kind}{made}, {chosen}"


def _recall(summary: Summary) -> str:
    """Recall as measured, and at which setting."""
    found = summary.derivation
    if found is None:
        return "1 (every vector is looked at)"
    if found.is_exact:
        return "1 (exact)"
    tuned = f" at {found.parameter} {found.setting}" if found.parameter else ""
    measured, wanted = found.measured_recall or 0.0, found.requested_recall or 0.0
    missed = "" if measured >= wanted else ", not reached"
    return f"{measured:.3f}{tuned} ({wanted:g} asked for{missed})"


def _vectors_json(summary: Summary) -> dict[str, object] | None:
    found = summary.derivation
    if found is None:
        return None
    return {
        "choice": summary.index_choice,
        "type": "flat" if found.is_exact else found.kind,
        "factory": found.factory,
        "requested_recall": summary.requested_recall,
        "measured_recall": 1.0 if found.is_exact else found.measured_recall,
        "parameter": found.parameter,
        "setting": found.setting,
        "passages_when_made": found.passages,
        "enough_at": found.enough_at,
    }


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
