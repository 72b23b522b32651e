"""The law of indexing: whatever happened to a folder and its index, the end is a quiet build.

    python tests/torture/sequences.py [--examples N] [--seed S]

Hypothesis makes up sequences of writing, editing, renaming and deleting files, and of runs of
``index``, ``compact``, ``remove`` and ``--rebuild``, some of them killed at a fault point. After
each run the index has to be sound; after a last run it has to hold what a build of the folder from
nothing holds. Prints how many runs and kills there were; a sequence that breaks the law is printed
in its simplest form, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from children import do, killed_at_point, warm_up
from holdings import differences, flaws, held_in
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from phases import INDEX, LONG_AGO, WORDS, build_quietly, shrink_batches

from ragcli.engine.indexing import index_paths
from ragcli.engine.maintaining import compact
from ragcli.engine.removing import remove_files
from ragcli.errors import IndexMissingError
from ragcli.store import Index, holds_index

NAMES = ("a.md", "b.txt", "sub/a.md", "sub/deep/c.txt", "r.jsonl", "sub/s.jsonl")
MOST_POINTS = 200


@dataclass(frozen=True)
class Write:
    """Write a file: paragraphs, or records, by their numbers. An ``old`` file is not fresh."""

    name: str
    parts: tuple[int, ...]
    old: bool

    def __call__(self, place: Path, moment: int) -> None:
        file = place / "docs" / self.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_text(self.name, self.parts), "utf-8")
        if self.old:
            os.utime(file, (LONG_AGO + moment, LONG_AGO + moment))


@dataclass(frozen=True)
class Rename:
    """Give a file another name, in the place of whatever had it."""

    name: str
    other: str

    def __call__(self, place: Path, moment: int) -> None:
        file, other = place / "docs" / self.name, place / "docs" / self.other
        if file.exists() and file.suffix == other.suffix:
            other.parent.mkdir(parents=True, exist_ok=True)
            file.replace(other)


@dataclass(frozen=True)
class Delete:
    """Delete a file, or the folder it is in."""

    name: str
    with_folder: bool

    def __call__(self, place: Path, moment: int) -> None:
        file = place / "docs" / self.name
        if self.with_folder and file.parent != place / "docs":
            shutil.rmtree(file.parent, ignore_errors=True)
        else:
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Run:
    """Run a command on the index; it is killed at the fault point of this number, if it has one."""

    command: str
    killed_at: int | None


Step = Write | Rename | Delete | Run

_names = st.sampled_from(NAMES)
_runs = st.builds(
    Run,
    st.sampled_from(["index", "index", "index", "compact", "remove", "rebuild"]),
    st.none() | st.integers(0, 50) | st.integers(0, MOST_POINTS),
)
_parts = st.lists(st.integers(0, 40), max_size=25).map(tuple)
STEPS = st.lists(
    st.builds(Write, _names, _parts, st.booleans())
    | st.builds(Rename, _names, _names)
    | st.builds(Delete, _names, st.booleans())
    | _runs,
    min_size=2,
    max_size=14,
)


def _text(name: str, parts: tuple[int, ...]) -> str:
    if name.endswith(".jsonl"):
        lines = [{"id": f"r{n}", "text": f"A {WORDS[n % 10]} is number {n}."} for n in set(parts)]
        return "".join(f"{json.dumps(line)}\n" for line in lines)
    heading = "## " if name.endswith(".md") else ""
    return "\n\n".join(
        f"{heading}The {WORDS[n % 10]} {n}\n\nIt is one {WORDS[(n + 1) % 10]} of {n}."
        for n in parts
    )


def _index(place: Path, *, rebuild: bool = False) -> None:
    index_paths([place / "docs"], place / INDEX, rebuild=rebuild, seen_from=place)


def _remove_first(place: Path) -> None:
    try:
        with Index.open(place / INDEX) as index:
            paths = [source.path for source in index.sources()]
    except IndexMissingError:  # killed before it was begun
        return
    if paths:
        remove_files(place / INDEX, paths[:1], seen_from=place)


def _compact(place: Path) -> None:
    try:
        compact(place / INDEX)
    except IndexMissingError:
        return


WORK = {
    "index": _index,
    "rebuild": lambda place: _index(place, rebuild=True),
    "compact": _compact,
    "remove": _remove_first,
}


class Law:
    """Checks sequences, and counts what was done."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def check(self, steps: list[Step]) -> None:
        """Take the steps in a new place, then compare with a quiet build."""
        self.counts["sequences"] += 1
        with tempfile.TemporaryDirectory(prefix="sequence-") as scratch:
            place = Path(scratch).resolve() / "place"
            (place / "docs").mkdir(parents=True)
            Write("start.md", (1, 2), old=True)(place, 0)
            for moment, step in enumerate(steps, start=1):
                if isinstance(step, Run):
                    self._run(step, place)
                else:
                    step(place, moment)
                    self.counts["changes"] += 1
            self._run(Run("index", None), place)
            quiet = Path(scratch).resolve() / "quiet"
            shutil.copytree(place / "docs", quiet / "docs")
            do(build_quietly, quiet)
            found = list(differences(held_in(place / INDEX), held_in(quiet / INDEX)))
            assert found == []
            assert _states(place) == _states(quiet)

    def _run(self, run: Run, place: Path) -> None:
        if run.command != "index" and not holds_index(place / INDEX):
            return
        self.counts["runs"] += 1
        if run.killed_at is None:
            do(WORK[run.command], place)
        else:
            self.counts["kills"] += killed_at_point(WORK[run.command], place, run.killed_at)
        try:
            found = list(flaws(place / INDEX))
        except IndexMissingError:
            return
        assert found == []


def _states(place: Path) -> dict[str, tuple[str, int, str]]:
    with Index.open(place / INDEX) as index:
        return {s.path: (s.content_hash, s.size, s.settings) for s in index.sources()}


def main() -> int:
    """Try so many sequences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given_options = parser.parse_args()
    shrink_batches()
    warm_up()
    law = Law()

    @seed(given_options.seed)
    @settings(
        max_examples=given_options.examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS)
    def holds(steps: list[Step]) -> None:
        law.check(steps)

    try:
        holds()
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.write(f"{json.dumps(law.counts)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
