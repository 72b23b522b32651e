"""The use case ``list``: the files that an index holds, and the documents in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.engine.batches import as_unicode
from ragcli.engine.names import Names
from ragcli.retrieval.filters import make_filters
from ragcli.store import INCOMPLETE, Index

if TYPE_CHECKING:
    from ragcli.store import HeldDocument, HeldSource

_NANOSECONDS = 10**9
_PLACE = re.compile(r"\.\.?|(?:\.\.?)?/[^*?\[\\]*")
"""What is rather a path than a glob, if the index holds anything there."""


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file that the index holds; ``path`` is as seen from the person's folder.

    ``size`` counts bytes, ``modified`` is in UTC, ``None`` of what came through a pipe.
    ``content_hash`` is ``None`` of a file of which not every document is in place.
    """

    path: str
    documents: int
    passages: int
    size: int
    modified: datetime | None
    content_hash: str | None

    @property
    def is_complete(self) -> bool:
        """Whether every document of it is in place."""
        return self.content_hash is not None


def list_files(
    folder: Path, patterns: Sequence[str] = (), *, seen_from: Path | None = None
) -> list[HeldFile]:
    """Return the files that match, in the order of the index's paths; without patterns all.

    A pattern is a glob as git's, matched with the shown path, or a path that begins with ``.``,
    ``..`` or ``/``, for that file or what lies beneath that folder. Raises ``UsageError`` for what
    is no glob, ``IndexMissingError`` and ``IndexMismatchError``.
    """
    with Index.open(folder) as index:
        return [file for _, file in _matching(index, patterns, Names.of(folder, seen_from))]


def list_documents(
    folder: Path, patterns: Sequence[str] = (), *, seen_from: Path | None = None
) -> Iterator[tuple[HeldFile, HeldDocument]]:
    """Yield the documents of these files, each with its file, in the order of the files.

    Raises as ``list_files`` does.
    """
    with Index.open(folder) as index:
        for stored, file in _matching(index, patterns, Names.of(folder, seen_from)):
            for document in index.held_documents(stored):
                yield file, document


def _matching(
    index: Index, patterns: Sequence[str], names: Names
) -> Iterator[tuple[str, HeldFile]]:
    held = index.held_sources()
    matches = _matcher(patterns, names, [source.state.path for source in held])
    for source in held:
        stored = source.state.path
        shown = names.shown(stored)
        if matches(stored, shown):
            yield stored, _held_file(source, shown)


def _matcher(
    patterns: Sequence[str], names: Names, stored: Sequence[str]
) -> Callable[[str, str], bool]:
    """Whether the file of a stored path, shown as another, is meant by the patterns."""
    if not patterns:
        return lambda _stored, _shown: True
    places = [pattern for pattern in patterns if _PLACE.fullmatch(pattern)]
    inside = {place: names.beneath(place, stored) for place in places}
    in_places = {path for paths in inside.values() for path in paths}
    globs = [pattern for pattern in patterns if not inside.get(pattern)]
    matched = _globs(globs, names)
    allowed = _globs([glob for glob in globs if glob.startswith("!")], names)
    adds = any(not glob.startswith("!") for glob in globs) or not in_places

    def matches(path: str, shown: str) -> bool:
        return (path in in_places and allowed(shown)) or (adds and matched(shown))

    return matches


def _globs(globs: Sequence[str], names: Names) -> Callable[[str], bool]:
    filters = make_filters((), [as_unicode(glob) for glob in globs], names.seen_from.as_posix())
    return filters.matches or (lambda _: True)


def _held_file(held: HeldSource, shown: str) -> HeldFile:
    state = held.state
    seconds = abs(state.modified_ns) // _NANOSECONDS  # negative: a time not to be relied on
    modified = datetime.fromtimestamp(seconds, timezone.utc) if seconds else None
    known = None if state.content_hash == INCOMPLETE else state.content_hash
    return HeldFile(shown, held.documents, held.passages, state.size, modified, known)
