"""How the path of a stored source is shown to a person who stands somewhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ragcli.records import ScoredPassage, StoredPassage

STREAM_PREFIX = "stdin:"
"""Begins the path of what came through a pipe; no folder that is walked holds it."""


def shown_path(file: Path, folder: Path) -> str:
    """Return ``file`` relative to ``folder`` when beneath it, else absolute; always with ``/``.

    Both are absolute.
    """
    return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()


@dataclass(frozen=True, slots=True)
class StoredPaths:
    """Paths of the index in ``index_folder`` as a person in ``seen_from`` sees them."""

    index_folder: Path
    seen_from: Path

    def shown(self, stored: str) -> str:
        """Show one of the index's own paths."""
        from ragcli.store import absolute_path

        if stored.startswith(STREAM_PREFIX):
            return stored
        return shown_path(absolute_path(stored, self.index_folder), self.seen_from)

    def of_hit(self, hit: ScoredPassage) -> ScoredPassage:
        """Return the hit with its path as it is shown."""
        return replace(hit, stored=self.of_stored(hit.stored))

    def of_stored(self, stored: StoredPassage) -> StoredPassage:
        """Return the passage with its path as it is shown."""
        return replace(stored, path=self.shown(stored.path))
