"""Kills what changes an index, at every commit step and at random, and looks at what is left.

    python tests/torture/torture.py [--phase NAME]... [--steps N] [--rows N] [--instants N]
                                    [--seed S]

Each trial starts from the same prepared place and ends the work with SIGKILL: at one of its fault
points (``fault_points.py``; ``--steps`` and ``--rows`` say how many of each kind, spread evenly,
0 for all), or at up to three random instants in a row. After each kill the index has to open, to be
searched and to pass ``doctor``, and to hold of every document what it held before or what it is to
hold; then the same work is done again, and the index has to hold what a quiet build from nothing
holds, documents, passages, offsets and vectors, with no file left over. Prints one JSON object a
phase; the exit code is 1 when anything was found.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from children import do, fault_points, killed_at_instant, killed_at_point, warm_up
from holdings import Held, differences, flaws, held_in, losses
from phases import EXPORT, INDEX, PHASES, Phase, build_quietly, shrink_batches

from ragcli.errors import IndexMissingError, IndexOutdatedError
from ragcli.store import check_export, holds_index

MOST_INSTANTS_IN_A_ROW = 3


@dataclass
class Result:
    """What became of a phase; ``found`` says what was wrong, by trial."""

    phase: str
    fault_points: int = 0
    steps: int = 0
    kills_at_steps: int = 0
    kills_at_rows: int = 0
    kills_at_instants: int = 0
    found: list[str] = field(default_factory=list)


# -- trials --------------------------------------------------------------------------------------


class Torture:
    """One phase in a scratch folder: its place, what it holds before, what it is to hold."""

    def __init__(self, name: str, phase: Phase, scratch: Path) -> None:
        self._phase = phase
        self._scratch = scratch
        self._base = scratch / "base"
        self._base.mkdir()
        do(phase.prepare, self._base)
        self._before = self._now(self._base)
        quiet = scratch / "quiet"
        quiet.mkdir()
        do(phase.settle, quiet)
        do(build_quietly, quiet)
        self._after = held_in(quiet / INDEX)
        place = self._place()
        self.points = fault_points(phase.work, place)
        self._files = self._names(place)
        self.result = Result(name, len(self.points), sum(is_step for _, is_step in self.points))
        self.result.found += [f"undisturbed: {flaw}" for flaw in self._final_flaws(place)]
        self._seconds = do(phase.work, self._place())

    def at_points(self, numbers: Sequence[int]) -> None:
        """Kill at each of these fault points."""
        for number in numbers:
            name, is_step = self.points[number]
            place = self._place()
            with self._noting(f"point {number} ({name})"):
                if killed_at_point(self._phase.work, place, number):
                    self.result.kills_at_steps += is_step
                    self.result.kills_at_rows += not is_step
                self._look(place, f"point {number} ({name})")

    def at_instants(self, count: int, chance: random.Random) -> None:
        """Kill at least so many times, at random instants, up to three times in a row."""
        killed = 0
        while killed < count:
            place = self._place()
            moments: list[float] = []
            for _ in range(chance.randint(1, MOST_INSTANTS_IN_A_ROW)):
                moments.append(round(chance.uniform(0, self._seconds), 4))
                trial = f"after {moments} s"
                with self._noting(trial):
                    killed += 1
                    if not killed_at_instant(self._phase.work, place, moments[-1]):
                        break
                    self.result.kills_at_instants += 1
            self._look(place, f"after {moments} s")

    def _look(self, place: Path, trial: str) -> None:
        """Check what a kill left, do the work again, and check what comes of it."""
        with self._noting(trial):
            self.result.found += [f"{trial}: {flaw}" for flaw in self._flaws_after_kill(place)]
            do(self._phase.work, place)
            self.result.found += [f"{trial}, then again: {f}" for f in self._final_flaws(place)]

    def _flaws_after_kill(self, place: Path) -> Iterator[str]:
        if (place / EXPORT).exists():
            check_export(place / EXPORT)
        if self._phase.is_damaged or not holds_index(place / INDEX):
            if self._before and not holds_index(place / INDEX):
                yield "the index is gone"
            return
        held = self._now(place)
        if held is None:
            return
        yield from flaws(place / INDEX)
        yield from losses(held, self._before or {}, self._after)

    def _final_flaws(self, place: Path) -> Iterator[str]:
        yield from flaws(place / INDEX)
        yield from differences(held_in(place / INDEX), self._after)
        left = self._names(place) ^ self._files
        if left:
            yield f"files that differ from an undisturbed run's: {sorted(left)}"

    def _now(self, place: Path) -> Held | None:
        """What a place's index holds; ``None`` for none, one of an earlier version or damage."""
        try:
            return None if self._phase.is_damaged else held_in(place / INDEX)
        except (IndexMissingError, IndexOutdatedError):
            return None

    def _place(self) -> Path:
        """A fresh copy of the prepared place, always at the same path."""
        place = self._scratch / "place"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._base, place)
        return place

    @contextmanager
    def _noting(self, trial: str) -> Iterator[None]:
        """Note whatever is raised as something that was found."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.result.found.append(f"{trial}: {type(error).__name__}: {error}")

    @staticmethod
    def _names(place: Path) -> set[str]:
        """Files of the index, without those that come and go: SQLite's two, who held the lock."""
        passing = ("-wal", "-shm", "write.holder.json")
        return {f.name for f in (place / INDEX).iterdir() if not f.name.endswith(passing)}


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """So many of the numbers, evenly spread from first to last; all of them for 0."""
    if not count or count >= len(numbers):
        return list(numbers)
    gap = (len(numbers) - 1) / max(count - 1, 1)
    return [numbers[round(n * gap)] for n in range(count)]


def main() -> int:
    """Torture the phases, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phase", action="append", choices=list(PHASES))
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--instants", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    shrink_batches()
    warm_up()
    is_sound = True
    for name in given.phase or PHASES:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="torture-") as scratch:
            torture = Torture(name, PHASES[name], Path(scratch).resolve())
            steps = [n for n, (_, is_step) in enumerate(torture.points) if is_step]
            rows = [n for n, (_, is_step) in enumerate(torture.points) if not is_step]
            torture.at_points(_spread(steps, given.steps))
            torture.at_points(_spread(rows, given.rows) if given.rows else [])
            torture.at_instants(given.instants, random.Random(f"{given.seed} {name}"))
        result = asdict(torture.result) | {"seconds": round(time.monotonic() - started, 1)}
        sys.stdout.write(f"{json.dumps(result)}\n")
        sys.stdout.flush()
        is_sound = is_sound and not torture.result.found
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
