"""Which files have to be read: the walk compared with what the index holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ragcli.corpus.loaders import CODE_SUFFIXES, RecordFields, may_hold_records
from ragcli.corpus.problem import Problem
from ragcli.corpus.sniffing import looks_binary
from ragcli.corpus.walk import FoundFile, Selection, Skipped, walk
from ragcli.engine.paths import STREAM_PREFIX
from ragcli.store import INCOMPLETE, SourceState, absolute_path, stored_paths


@dataclass(frozen=True, slots=True)
class Stream:
    """A document, or records, that came through a pipe into ``file``; ``name`` tells its format.

    Records are added to those that came under this name before, unless they are the ``whole``.
    """

    file: Path
    name: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class ToRead:
    """A file that is new or may have changed, and how it is to be read.

    ``state`` is what the walk saw of it, its content hash unknown; ``known`` what the index holds.
    """

    file: Path
    state: SourceState
    fields: RecordFields
    known: SourceState | None
    whole: bool = True

    @property
    def known_hash(self) -> str | None:
        """The content hash with which the file need not be read, if there is one."""
        if self.known is None or self.known.settings != self.state.settings:
            return None
        return self.known.content_hash or None


@dataclass(slots=True)
class Walked:
    """What lies in and beneath the ``roots`` (absolute), as the walk found it."""

    roots: Sequence[Path]
    selection: Selection
    files: list[FoundFile] = field(default_factory=list)
    skipped: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def beneath(cls, roots: Sequence[Path], selection: Selection, index_folder: Path) -> Walked:
        """Walk the roots."""
        walked = cls(roots, selection)
        for found in walk(roots, selection, index_folder=index_folder):
            if isinstance(found, FoundFile):
                walked.files.append(found)
            elif isinstance(found, Skipped):
                walked.skipped.append(Problem(found.path, found.reason))
            else:
                walked.problems.append(found)
        return walked


@dataclass(frozen=True, slots=True)
class Comparison:
    """What has to be read, what need not be, and what the index holds that is gone.

    ``unchanged`` and ``gone`` are stored paths.
    """

    to_read: Sequence[ToRead]
    unchanged: Sequence[str]
    gone: Sequence[str]


def compare(
    walked: Walked, held: Mapping[str, SourceState], fields: RecordFields, folder: Path
) -> Comparison:
    """Compare a walk with the sources that the index in ``folder`` holds, by their stored paths.

    A file whose size and time are those of the index need not be read. What lies beneath a
    problem, such as a folder that cannot be listed, is not gone, nor is a file that was passed
    over or that this run's patterns leave out.
    """
    stored = stored_paths(folder)
    to_read, unchanged, met = [], [], set()
    for found in walked.files:
        path = stored(found.path)
        known = held.get(path)
        if known is not None and _is_as_before(found, known, fields):
            met.add(path)
            unchanged.append(path)
            continue
        if _is_no_code(found.path):
            continue
        met.add(path)
        chosen = _fields_of(known, fields)
        state = SourceState(
            path, INCOMPLETE, found.size, found.modified_ns, settings_of(found.path, chosen)
        )
        to_read.append(ToRead(Path(found.path), state, chosen, known))
    return Comparison(to_read, unchanged, list(_gone(walked, held, met, folder)))


def to_read_of(stream: Stream, fields: RecordFields, known: SourceState | None) -> ToRead:
    """How a stream is read; its name has the prefix already."""
    status = stream.file.stat()
    settings = settings_of(stream.name, fields)
    state = SourceState(stream.name, INCOMPLETE, status.st_size, -1, settings)
    return ToRead(stream.file, state, fields, known, stream.whole)


def settings_of(name: str, fields: RecordFields) -> str:
    """How a file of this name is read, as the index remembers it: the names of record fields."""
    return json.dumps(asdict(fields)) if may_hold_records(name) else ""


def _is_no_code(path: str) -> bool:
    """Whether a film is called ``.ts`` or a data file ``.pl``; a binary ``.txt`` is told of."""
    return os.path.splitext(path)[1].lower() in CODE_SUFFIXES and looks_binary(path)  # noqa: PTH122


def _is_as_before(found: FoundFile, known: SourceState, fields: RecordFields) -> bool:
    """Whether the file's size, time and way of reading are those that the index knows.

    The time of a file that was fresh when it was read is negative, and so is no file's.
    """
    if (known.size, known.modified_ns) != (found.size, found.modified_ns):
        return False
    if known.content_hash == INCOMPLETE:
        return False
    return fields == RecordFields() or known.settings == settings_of(found.path, fields)


def _fields_of(known: SourceState | None, fields: RecordFields) -> RecordFields:
    if known is None or not known.settings or fields != RecordFields():
        return fields
    return RecordFields(**json.loads(known.settings))


def _gone(
    walked: Walked, held: Mapping[str, SourceState], met: set[str], folder: Path
) -> Iterator[str]:
    kept = [Path(problem.path) for problem in (*walked.problems, *walked.skipped)]
    is_partial = bool(walked.selection.include or walked.selection.exclude)
    for path in held:
        if path in met or path.startswith(STREAM_PREFIX):
            continue
        file = absolute_path(path, folder)
        if not _beneath(file, walked.roots) or _beneath(file, kept):
            continue
        if not (is_partial and os.path.lexists(file)):
            yield path


def _beneath(file: Path, folders: Sequence[Path]) -> bool:
    return any(file.is_relative_to(folder) for folder in folders)
