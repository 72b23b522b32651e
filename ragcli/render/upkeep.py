"""What was found out about an index, mended, compacted or moved, in words and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ragcli.render.machine import json_line
from ragcli.render.neutral import printable
from ragcli.render.summary import byte_size

_LABELS = {"sound": "ok", "note": "note", "damaged": "DAMAGED"}
_LABEL_WIDTH = 7
_CHECK_WIDTH = 13
_INDENT = " " * (_LABEL_WIDTH + _CHECK_WIDTH + 4)
_MOST_NAMED = 5
_LEAST_WIDTH = 60


class Finding(Protocol):
    """What one check found: ``state`` is ``sound``, ``note`` or ``damaged``."""

    @property
    def check(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102
    @property
    def remedy(self) -> str: ...  # noqa: D102
    @property
    def paths(self) -> Sequence[str]: ...  # noqa: D102


class Compaction(Protocol):
    """What compacting came to, in bytes of the folder."""

    @property
    def folder(self) -> Path: ...  # noqa: D102
    @property
    def bytes_before(self) -> int: ...  # noqa: D102
    @property
    def bytes_after(self) -> int: ...  # noqa: D102
    @property
    def dropped_rebuild(self) -> bool: ...  # noqa: D102
    @property
    def is_shrunk(self) -> bool: ...  # noqa: D102


class Moved(Protocol):
    """An index in a folder and in a file, what it holds, and the file's size in bytes."""

    @property
    def folder(self) -> Path: ...  # noqa: D102
    @property
    def file(self) -> Path: ...  # noqa: D102
    @property
    def sources(self) -> int: ...  # noqa: D102
    @property
    def documents(self) -> int: ...  # noqa: D102
    @property
    def passages(self) -> int: ...  # noqa: D102
    @property
    def n_bytes(self) -> int: ...  # noqa: D102


def finding_lines(finding: Finding, width: int) -> Iterator[str]:
    """Yield a finding as lines of at most ``width`` columns, its remedy on lines of their own."""
    named = ", ".join(map(printable, finding.paths[:_MOST_NAMED]))
    more = len(finding.paths) - _MOST_NAMED
    more_named = f" and {more} more" if more > 0 else ""
    told = f"{named}{more_named}: " if named else ""
    label = _LABELS.get(finding.state, finding.state)
    opening = f"{label:<{_LABEL_WIDTH}}  {printable(finding.check):<{_CHECK_WIDTH}}  "
    yield from _wrapped(f"{told}{printable(finding.detail)}", width, opening)
    if finding.remedy:
        yield from _wrapped(printable(finding.remedy), width, _INDENT)


def mended_lines(done: str, width: int) -> Iterator[str]:
    """Yield what a repair did as lines of at most ``width`` columns."""
    opening = f"{'mended':<{_LABEL_WIDTH}}  "
    yield from _wrapped(printable(done), width, opening, " " * len(opening))


def finding_json(finding: Finding) -> str:
    """Return a finding as one JSON object."""
    return json_line(
        {
            "check": finding.check,
            "state": finding.state,
            "detail": finding.detail,
            "remedy": finding.remedy,
            "paths": list(finding.paths),
        }
    )


def mended_json(done: str) -> str:
    """Return what a repair did as one JSON object."""
    return json_line({"mended": done})


def compaction_lines(compaction: Compaction) -> Iterator[str]:
    """Yield how large the index was and is, and what else is to be known."""
    before, after = byte_size(compaction.bytes_before), byte_size(compaction.bytes_after)
    yield f"{before} → {after}"
    if compaction.dropped_rebuild:
        yield "a rebuild that was not finished is given up"
    if not compaction.is_shrunk:
        yield "a search has the index open: more becomes free when it ends"


def compaction_json(compaction: Compaction) -> str:
    """Return the same as one JSON object."""
    return json_line(
        {
            "index": str(compaction.folder),
            "bytes_before": compaction.bytes_before,
            "bytes_after": compaction.bytes_after,
            "dropped_rebuild": compaction.dropped_rebuild,
            "still_in_use": not compaction.is_shrunk,
        }
    )


def exported_line(moved: Moved, shown: str) -> str:
    """Return the line that tells of an index written to the file ``shown``."""
    return f"{_held(moved)} → {printable(shown)} ({byte_size(moved.n_bytes)})"


def imported_line(moved: Moved) -> str:
    """Return the line that tells of an index read from a file."""
    return f"{_held(moved)} → {printable(str(moved.folder))}"


def moved_json(moved: Moved) -> str:
    """Return what was exported or imported as one JSON object."""
    return json_line(
        {
            "index": str(moved.folder),
            "file": str(moved.file),
            "files": moved.sources,
            "documents": moved.documents,
            "passages": moved.passages,
            "bytes": moved.n_bytes,
        }
    )


def _held(moved: Moved) -> str:
    return f"{moved.sources} files, {moved.documents} documents, {moved.passages} passages"


def _wrapped(text: str, width: int, opening: str, indent: str = _INDENT) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, _LEAST_WIDTH),
        initial_indent=opening,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
