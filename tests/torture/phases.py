"""What is tortured: the work that changes an index, and the folders in which it is done.

A place is a folder with documents in ``docs`` and an index in ``.ragcli``.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ragcli.engine import merging, writing
from ragcli.engine.diagnosing import repair
from ragcli.engine.indexing import index_paths
from ragcli.engine.maintaining import compact, export_index, import_index
from ragcli.engine.merging import merge_indexes
from ragcli.engine.removing import remove_files
from ragcli.store import Index

FIXTURES = Path(__file__).parent.parent / "store" / "fixtures"
INDEX, OTHER, EXPORT = ".ragcli", "other", "kept.ragcli"
LONG_AGO = 1_700_000_000
WORDS = "kettle otter ledger harbour meadow lantern archive compass violin boiler".split()

Work = Callable[[Path], object]


def shrink_batches() -> None:
    """Make batches of a few passages, so that a small index takes many commits."""
    writing.BATCH_PASSAGES = 4
    writing.BATCH_READY_PASSAGES = 8
    writing.BATCH_SOURCES = 4
    merging.BATCH_PASSAGES = 4
    merging.BATCH_FILES = 3


@dataclass(frozen=True)
class Phase:
    """Work on an index: ``prepare`` makes a place, ``work`` is done there and killed.

    ``settle`` leaves in a fresh place the documents that a quiet build makes the same index of.
    ``is_damaged`` says that the index is not sound before the work is done.
    """

    prepare: Work
    work: Work
    settle: Work
    is_damaged: bool = False


# -- documents -----------------------------------------------------------------------------------


def _write(file: Path, text: str, edition: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    os.utime(file, (LONG_AGO + edition, LONG_AGO + edition))


def _sections(number: int, count: int, edition: int) -> str:
    """A Markdown text of so many sections, some four a passage; every third differs by edition."""
    return "\n\n".join(
        f"## The {WORDS[(number + n) % 10]} {n}\n\nA kettle and {WORDS[n % 10]} {number * 100 + n}"
        f" in edition {edition if n % 3 == 0 else 0}."
        for n in range(count)
    )


def _records(count: int, edition: int) -> str:
    lines = [
        {
            "id": f"r{n}",
            "title": f"Record {n}",
            "text": f"A kettle is {WORDS[n % 10]} {n}, edition {edition if n % 4 == 0 else 0}.",
            "number": n,
        }
        for n in range(count)
    ]
    return "\n".join(map(json.dumps, lines)) + "\n"


def first_documents(place: Path) -> None:
    """Texts of a passage or two, one of more than a batch, records, and a file without words."""
    docs = place / "docs"
    for number in range(8):
        _write(docs / f"{number}.md", _sections(number, 3 + number % 3, 1))
    _write(docs / "long.md", _sections(50, 28, 1))
    _write(docs / "gone" / "a.md", _sections(60, 4, 1))
    _write(docs / "gone" / "b.txt", "A kettle of a text that will not stay.\n")
    _write(docs / "named.md", _sections(70, 5, 1))
    _write(docs / "records.jsonl", _records(14, 1))
    _write(docs / "empty.txt", "")


def second_documents(place: Path) -> None:
    """The same, after edits, a renaming, removals and additions."""
    docs = place / "docs"
    first_documents(place)
    for number in (1, 4, 5):
        _write(docs / f"{number}.md", _sections(number, 4, 2), edition=2)
    _write(docs / "long.md", _sections(50, 30, 2), edition=2)
    shutil.rmtree(docs / "gone")
    (docs / "named.md").rename(docs / "renamed.md")
    _write(docs / "records.jsonl", _records(11, 2), edition=2)
    _write(docs / "new.md", _sections(80, 6, 2), edition=2)


def few_documents(place: Path) -> None:
    """What is left of the first documents when half of them are removed."""
    first_documents(place)
    for name in ("0.md", "2.md", "6.md", "long.md"):
        (place / "docs" / name).unlink()
    shutil.rmtree(place / "docs" / "gone")


# -- the work ------------------------------------------------------------------------------------


def _index(place: Path, *, rebuild: bool = False, index_type: str | None = None) -> None:
    index_paths(
        [place / "docs"], place / INDEX, rebuild=rebuild, index_type=index_type, seen_from=place
    )


def _indexed(place: Path) -> None:
    first_documents(place)
    _index(place)


def _changed(place: Path) -> None:
    _indexed(place)
    second_documents(place)


def _changed_approximate(place: Path) -> None:
    first_documents(place)
    _index(place, index_type="IVF4,Flat")
    second_documents(place)


def _apart(place: Path) -> None:
    """Two indexes: one of all documents as they were first, one of what changed since."""
    _changed(place)
    changed = ["1.md", "4.md", "5.md", "long.md", "renamed.md", "records.jsonl", "new.md"]
    paths = [place / "docs" / name for name in changed]
    index_paths(paths, place / OTHER, seen_from=place)
    remove_files(place / INDEX, ["docs/gone", "docs/named.md"], seen_from=place)


def _merge(place: Path) -> None:
    merge_indexes([place / OTHER], place / INDEX)


def _merge_into_new(place: Path) -> None:
    merge_indexes([place / OTHER, place / "third"], place / INDEX)


def _both_elsewhere(place: Path) -> None:
    _apart(place)
    (place / INDEX).rename(place / "third")


def _half_removed(place: Path) -> None:
    _indexed(place)
    few_documents(place)
    _index(place)


def _remove(place: Path) -> None:
    names = ("docs/0.md", "docs/2.md", "docs/6.md", "docs/long.md", "docs/gone")
    with Index.open(place / INDEX) as index:
        held = [source.path for source in index.sources()]
    left = [name for name in names if any(path.startswith(name) for path in held)]
    if left:
        remove_files(place / INDEX, left, seen_from=place)
    else:  # killed behind its commit: what it left beside the index is the next one's to tidy
        repair(place / INDEX)


def _exported(place: Path) -> None:
    """An export of the second documents beside an index of the first."""
    second_documents(place)
    _index(place)
    export_index(place / INDEX, place / EXPORT)
    shutil.rmtree(place / INDEX)
    shutil.rmtree(place / "docs")
    _indexed(place)


def _import(place: Path) -> None:
    import_index(place / EXPORT, place / INDEX, replace=True)


def _export(place: Path) -> None:
    export_index(place / INDEX, place / EXPORT, replace=True)
    import_index(place / EXPORT, place / INDEX, replace=True)


def _of_an_earlier_version(place: Path) -> None:
    shutil.copytree(FIXTURES / "schema-4" / "docs", place / "docs")
    shutil.copytree(FIXTURES / "schema-4", place / INDEX, ignore=shutil.ignore_patterns("docs"))


def _damage(place: Path) -> None:
    """An index that lost passages and vectors."""
    _indexed(place)
    with closing(sqlite3.connect(place / INDEX / "catalogue.sqlite")) as connection:
        connection.execute("DELETE FROM vectors WHERE passage_id % 5 = 0")
        connection.execute("DELETE FROM passages WHERE passage_id % 7 = 0")
        connection.commit()


def _settle_fixture(place: Path) -> None:
    shutil.copytree(FIXTURES / "schema-4" / "docs", place / "docs")


PHASES = {
    "index": Phase(first_documents, _index, first_documents),
    "update": Phase(_changed, _index, second_documents),
    "update-approximate": Phase(_changed_approximate, _index, second_documents),
    "rebuild": Phase(_changed, lambda place: _index(place, rebuild=True), second_documents),
    "migrate": Phase(_of_an_earlier_version, _index, _settle_fixture),
    "remove": Phase(_indexed, _remove, few_documents),
    "compact": Phase(_half_removed, lambda place: compact(place / INDEX), few_documents),
    "merge": Phase(_apart, _merge, second_documents),
    "merge-into-new": Phase(_both_elsewhere, _merge_into_new, second_documents),
    "export": Phase(_indexed, _export, first_documents),
    "import": Phase(_exported, _import, second_documents),
    "repair": Phase(_damage, lambda place: repair(place / INDEX), first_documents, is_damaged=True),
}


def build_quietly(place: Path) -> None:
    """Index the documents of a place from nothing."""
    _index(place)
