"""Two writers and ten readers on one index, all at once, in processes of their own.

    python tests/torture/crowd.py [--seconds N] [--readers N]

Each writer edits documents and runs ``index`` on them, over and over: the first waits while the
other writes, the second gives up and tries again. Each reader opens the index, reads all that it
holds and searches it by vectors and by words, over and over. Every document says in each of its
sections which edition it is of: a reader may see no two editions in one document, none that is
older than what it has seen before, no passage that is not its document's text, no vector that does
not find its passage. In the end the index is that of a quiet build. Prints counts and what was
found; the exit code is 1 when anything was.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from children import do, ended, in_child, warm_up
from holdings import differences, flaws, held_in
from phases import INDEX, WORDS, build_quietly, shrink_batches

from ragcli.engine.indexing import index_paths
from ragcli.errors import IndexBusyError
from ragcli.store import Index

DOCUMENTS = 12
_EDITION = re.compile(r"edition (\d+)")


def _edit(place: Path, number: int, edition: int) -> None:
    """Write a document anew, as an editor does: beside the file, then in its place."""
    sections = [
        f"## The {WORDS[(number + n) % 10]} {n}\n\nThis is edition {edition} of {number}.{n}."
        for n in range(2 + (number + edition) % 5)
    ]
    partial = place / f"{number}.partial"
    partial.write_text("\n\n".join(sections), "utf-8")
    partial.replace(place / "docs" / f"{number:02}.md")


def _write(place: Path, mine: int, until: float, *, wait: bool) -> dict[str, int]:
    """Edit every second document and index, until the time is over."""
    chance, counts = random.Random(mine), {"runs": 0, "busy": 0}
    edition = 0
    while time.monotonic() < until:
        edition += 1
        for number in chance.sample(range(mine, DOCUMENTS, 2), 3):
            _edit(place, number, edition)
        try:
            index_paths([place / "docs"], place / INDEX, wait=wait, seen_from=place)
            counts["runs"] += 1
        except IndexBusyError as error:
            if "written by process" not in error.message:
                raise
            counts["busy"] += 1
            time.sleep(0.05)
    return counts


def _read(place: Path, until: float) -> dict[str, int]:
    """Read and search until the time is over; raises what is found."""
    counts = {"reads": 0, "generations": 0}
    seen: dict[str, int] = {}
    generations: set[int] = set()
    while time.monotonic() < until:
        with Index.open(place / INDEX) as index:
            generations.add(index.generation)
            found = list(_torn(index, seen))
        if found:
            raise AssertionError(found)
        counts["reads"] += 1
    counts["generations"] = len(generations)
    return counts


def _torn(index: Index, seen: dict[str, int]) -> Iterator[str]:
    """What a reader should not see; ``seen`` are the newest editions that it saw."""
    for source in index.sources():
        for document, passages, vectors in index.embedded_documents(source.path):
            editions = {int(number) for number in _EDITION.findall(document.text)}
            if len(editions) != 1:
                yield f"{source.path} has editions {sorted(editions)}"
                continue
            edition = editions.pop()
            if edition < seen.get(source.path, 0):
                yield f"{source.path} went back to edition {edition}"
            seen[source.path] = edition
            for passage in passages:
                if document.text[passage.start : passage.end] != passage.text:
                    yield f"{source.path}: a passage is not its text"
            scores = [hits[0][1] if hits else 0 for hits in index.search(vectors, 1)]
            if min(scores, default=0) < 0.98:
                yield f"{source.path}: a vector does not find its passage"
    if not index.search_words('"edition"', 3):
        yield "no passage has the word that all have"


def _report(place: Path, name: str, work: Callable[[], dict[str, int]]) -> int:
    """Start work in a child, which leaves its counts in a file."""
    return in_child(lambda: (place / f"{name}.json").write_text(json.dumps(work())) and None)


def main() -> int:
    """Let them all loose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readers", type=int, default=10)
    given = parser.parse_args()
    shrink_batches()
    warm_up()
    with tempfile.TemporaryDirectory(prefix="crowd-") as scratch:
        place = Path(scratch).resolve()
        (place / "docs").mkdir()
        for number in range(DOCUMENTS):
            _edit(place, number, 0)
        do(build_quietly, place)
        until = time.monotonic() + given.seconds
        processes = {
            "waiting writer": _report(
                place, "waiting writer", lambda: _write(place, 0, until, wait=True)
            ),
            "trying writer": _report(
                place, "trying writer", lambda: _write(place, 1, until, wait=False)
            ),
        }
        for number in range(given.readers):
            name = f"reader {number}"
            processes[name] = _report(place, name, lambda: _read(place, until))
        found = [name for name, pid in processes.items() if not _ended_well(pid)]
        do(build_quietly, place)
        found += flaws(place / INDEX)
        quiet = place / "quiet"
        quiet.mkdir()
        (place / "docs").rename(quiet / "docs")
        do(build_quietly, quiet)
        found += differences(held_in(place / INDEX), held_in(quiet / INDEX))
        counts: dict[str, int] = {"readers": given.readers}
        for name in processes:
            file = place / f"{name}.json"
            for key, count in (json.loads(file.read_text()) if file.exists() else {}).items():
                counts[key] = counts.get(key, 0) + count
    sys.stdout.write(f"{json.dumps(counts | {'found': found})}\n")
    return 1 if found else 0


def _ended_well(pid: int) -> bool:
    try:
        return ended(pid)
    except Exception:  # noqa: BLE001
        return False


if __name__ == "__main__":
    sys.exit(main())
