"""Where a phase is tried again and again, and what has to hold of its index meanwhile and after."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from children import do
from holdings import Held, differences, flaws, held_in, losses
from phases import EXPORT, INDEX, Phase, build_quietly

from ragcli.errors import IndexMissingError, IndexOutdatedError
from ragcli.store import check_export


class Stage:
    """A phase with its prepared place, what that holds before, and what it is to hold after.

    ``found`` gathers what was wrong, by trial.
    """

    def __init__(self, phase: Phase, scratch: Path) -> None:
        self.phase = phase
        self.found: list[str] = []
        self._base = scratch / "base"
        self._base.mkdir()
        do(phase.prepare, self._base)
        self._before = self._held(self._base)
        quiet = scratch / "quiet"
        quiet.mkdir()
        do(phase.settle, quiet)
        do(build_quietly, quiet)
        self._after = held_in(quiet / INDEX)
        undisturbed = self.place(scratch / "place")
        self.seconds = do(phase.work, undisturbed)
        self._files = _names(undisturbed)
        self.found += [f"undisturbed: {flaw}" for flaw in self._flaws_at_the_end(undisturbed)]

    def place(self, folder: Path) -> Path:
        """A fresh copy of the prepared place, at ``folder``."""
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self._base, folder))

    def check(self, place: Path, trial: str) -> None:
        """Look at what a trial left: sound, searchable, and nothing lost."""
        with self.noting(trial):
            self.found += [f"{trial}: {flaw}" for flaw in self._flaws_in_between(place)]

    def finish(self, place: Path, trial: str) -> None:
        """Do the work again, to its end: what comes of it is what a quiet build makes."""
        with self.noting(f"{trial}, then again"):
            do(self.phase.work, place)
            flaws_left = self._flaws_at_the_end(place)
            self.found += [f"{trial}, then again: {flaw}" for flaw in flaws_left]

    @contextmanager
    def noting(self, trial: str) -> Iterator[None]:
        """Note whatever is raised as something that was found."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.found.append(f"{trial}: {type(error).__name__}: {error}")

    def _flaws_in_between(self, place: Path) -> Iterator[str]:
        if (place / EXPORT).exists():
            check_export(place / EXPORT)
        held = self._held(place)
        if held is None:
            if self._before:
                yield "the index is gone"
            return
        yield from flaws(place / INDEX)
        yield from losses(held, self._before or {}, self._after)

    def _flaws_at_the_end(self, place: Path) -> Iterator[str]:
        yield from flaws(place / INDEX)
        yield from differences(held_in(place / INDEX), self._after)
        left = _names(place) ^ self._files
        if left:
            yield f"files that differ from an undisturbed run's: {sorted(left)}"

    def _held(self, place: Path) -> Held | None:
        """What a place's index holds; ``None`` for none, one of an earlier version or damage."""
        try:
            return None if self.phase.is_damaged else held_in(place / INDEX)
        except (IndexMissingError, IndexOutdatedError):
            return None


def _names(place: Path) -> set[str]:
    """Files of the index, without those that come and go: SQLite's two, who held the lock."""
    passing = ("-wal", "-shm", "write.holder.json")
    return {file.name for file in (place / INDEX).iterdir() if not file.name.endswith(passing)}
