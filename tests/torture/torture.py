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
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from children import fault_points, killed_at_instant, killed_at_point, warm_up
from phases import PHASES, Phase, shrink_batches
from stage import Stage

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


class Torture:
    """One phase on its stage, killed again and again."""

    def __init__(self, name: str, phase: Phase, scratch: Path) -> None:
        self._stage = Stage(phase, scratch)
        self._folder = scratch / "place"
        self.points = fault_points(phase.work, self._stage.place(self._folder))
        steps = sum(is_step for _, is_step in self.points)
        self.result = Result(name, len(self.points), steps, found=self._stage.found)

    def at_points(self, numbers: Sequence[int]) -> None:
        """Kill at each of these fault points."""
        for number in numbers:
            name, is_step = self.points[number]
            trial = f"point {number} ({name})"
            place = self._stage.place(self._folder)
            with self._stage.noting(trial):
                if killed_at_point(self._stage.phase.work, place, number):
                    self.result.kills_at_steps += is_step
                    self.result.kills_at_rows += not is_step
            self._stage.check(place, trial)
            self._stage.finish(place, trial)

    def at_instants(self, count: int, chance: random.Random) -> None:
        """Kill at least so many times, at random instants, up to three times in a row."""
        tried = 0
        while tried < count:
            place = self._stage.place(self._folder)
            trial = "after"
            for _ in range(chance.randint(1, MOST_INSTANTS_IN_A_ROW)):
                seconds = round(chance.uniform(0, self._stage.seconds), 4)
                trial = f"{trial} {seconds} s"
                tried += 1
                with self._stage.noting(trial):
                    self.result.kills_at_instants += killed_at_instant(
                        self._stage.phase.work, place, seconds
                    )
                self._stage.check(place, trial)
            self._stage.finish(place, trial)


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """So many of the numbers, evenly spread and none at either end; all of them for 0."""
    if not count or count >= len(numbers):
        return list(numbers)
    return [numbers[int((n + 0.5) * len(numbers) / count)] for n in range(count)]


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
