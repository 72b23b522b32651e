"""What a tree costs in which nothing changed: the walk, and the whole command, beside ``find``.

    python benchmarks/unchanged.py [--files 10000] [--folders 500] [--runs 9] [--index]

Makes a tree of small files, and a second one that has a ``.gitignore`` of 30 patterns at its top.
``walk`` is the walk inside a running process; ``bare`` lists and stats every file by
``os.scandir`` and does nothing else; ``find -printf`` and ``find -exec stat`` are processes that
tell size and time of each file, ``find -maxdepth 0`` what such a process costs that looks at
nothing. With ``--index`` both trees are indexed first, which takes minutes, then ``ragcli index``
is run again as a new process, beside ``ragcli status``, which reads the index alone. The runs
take turns. Prints one JSON object a tree: the least and the median milliseconds of each, and how
many times the median of ``find -exec stat`` it is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ragcli.corpus.walk import walk

SUFFIXES = (".md", ".txt", ".rst", ".py")
PATTERNS = """\
build/ dist/ *.egg-info/ node_modules/ __pycache__/ *.py[cod] *.so *.o *.log *.tmp *~ *.swp
.DS_Store .env .env.* .venv/ venv/ /out /target/ docs/_build/ coverage/ .coverage.* htmlcov/
*.min.js **/generated/** **/*.bak !keep.bak secret*.txt [Tt]humbs.db .idea/
""".split()
PEER = "find -exec stat"


def make_tree(top: Path, files: int, folders: int) -> None:
    """Spread small files evenly over folders, 25 of which are in a folder together."""
    places = [top / f"part{n // 25:03}" / f"folder{n:04}" for n in range(folders)]
    for place in places:
        place.mkdir(parents=True)
    for n in range(files):
        suffix = SUFFIXES[n // folders % len(SUFFIXES)]
        (places[n % folders] / f"note{n:06}{suffix}").write_text(f"note number {n}\n")


def bare(top: str) -> None:
    """List every folder and stat every file."""
    stack = [top]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                else:
                    entry.stat(follow_symlinks=False)


def process(*words: str, cwd: Path | None = None) -> Callable[[], object]:
    """Run a command to its end, its output thrown away."""
    return lambda: subprocess.run(words, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def actions(top: Path) -> dict[str, Callable[[], object]]:
    """What is measured of every tree."""
    find = ("find", str(top), "-type", "f")
    return {
        "walk": lambda: sum(1 for _ in walk([top])),
        "bare": lambda: bare(str(top)),
        "find -printf": process(*find, "-printf", "%s %T@ %p\n"),
        PEER: process(*find, "-exec", "stat", "{}", "+"),
        "find -maxdepth 0": process("find", str(top), "-maxdepth", "0"),
    }


def indexed(top: Path) -> dict[str, Callable[[], object]]:
    """Index the tree, and say what is measured of it then."""
    ragcli = (sys.executable, "-m", "ragcli")
    index = ("--index", str(top.with_suffix(".index")))
    again = process(*ragcli, "index", str(top), *index)
    again()
    time.sleep(3)  # a file that is as fresh as the index would be read once more
    again()
    return {"ragcli index": again, "ragcli status": process(*ragcli, "status", *index)}


def measured(chosen: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each run; the first, which is not counted, fills the system's caches."""
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for run in range(runs + 1):
        for name, action in chosen.items():
            started = time.perf_counter()
            action()
            if run:
                times[name].append(1000 * (time.perf_counter() - started))
    return times


def main() -> int:
    """Make the trees and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--folders", type=int, default=500)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--index", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for tree, patterns in (("plain", []), ("with a .gitignore", PATTERNS)):
            top = Path(name) / f"tree{len(patterns)}"
            make_tree(top, given.files, given.folders)
            if patterns:
                (top / ".gitignore").write_text("\n".join(patterns) + "\n")
            chosen = actions(top) | (indexed(top) if given.index else {})
            times = measured(chosen, given.runs)
            peer = statistics.median(times[PEER])
            result = {
                action: {
                    "least_ms": round(min(own), 1),
                    "median_ms": round(statistics.median(own), 1),
                    "ratio": round(statistics.median(own) / peer, 2),
                }
                for action, own in times.items()
            }
            print(json.dumps({"tree": tree, "files": given.files, **result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
