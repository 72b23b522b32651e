"""What became of each file in a run of ``index``, and of all of them together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ragcli.corpus.problem import Problem

ADDED, UPDATED, UNCHANGED, REMOVED = "added", "updated", "unchanged", "removed"
SKIPPED, FAILED = "skipped", "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: ``status`` is one of the six words above, ``reason`` says why.

    ``documents`` and ``passages`` were read from it. A file may have failures of single records
    or pages beside its own outcome.
    """

    path: str
    status: str
    reason: str = ""
    documents: int = 0
    passages: int = 0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did: counts of files, of documents and of passages; wall time in seconds.

    ``failed`` are files, or single records of a file, that could not be read; what the index had
    of a file that failed stays in it. ``skipped`` are files that were passed over. Of
    ``passages_added``, ``passages_embedded`` had words that were new; the others took the vectors
    that were there. ``seconds_by_stage`` are walk (and comparing), read (waiting for readers),
    embed, write and derive; ``dry_run`` says that nothing was written.
    """

    index: Path
    added: int
    updated: int
    unchanged: int
    removed: int
    documents_added: int
    documents_updated: int
    documents_unchanged: int
    documents_removed: int
    passages_added: int
    passages_embedded: int
    passages_unchanged: int
    passages_removed: int
    skipped: tuple[Problem, ...]
    failed: tuple[Problem, ...]
    seconds: float
    seconds_by_stage: Mapping[str, float]
    dry_run: bool = False


@dataclass(slots=True)
class Ledger:
    """Counts outcomes, tells each of them on, and takes the time of each stage."""

    tell: Callable[[Outcome], None]
    counts: Counter[str] = field(default_factory=Counter)
    skipped: list[Problem] = field(default_factory=list)
    failed: list[Problem] = field(default_factory=list)
    seconds_by_stage: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def note(self, path: str, status: str, *, documents: int = 0, passages: int = 0) -> None:
        """Note what became of a file that was read, left alone or removed."""
        self.counts[status] += 1
        self.tell(Outcome(path, status, documents=documents, passages=passages))

    def skip(self, skipped: Problem) -> None:
        """Note a file that was passed over."""
        self.skipped.append(skipped)
        self.tell(Outcome(skipped.path, SKIPPED, skipped.reason))

    def fail(self, failed: Problem) -> None:
        """Note a file, or a part of one, that could not be read."""
        self.failed.append(failed)
        self.tell(Outcome(failed.path, FAILED, failed.reason))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time that the block takes as this stage's."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds_by_stage[stage] = time.monotonic() - started
