from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ragcli.render.upkeep import (
    compaction_lines,
    finding_json,
    finding_lines,
    imported_line,
    mended_lines,
)


@dataclass(frozen=True)
class Found:
    check: str = "documents"
    state: str = "damaged"
    detail: str = "texts are not as they were stored"
    remedy: str = 'run "ragcli doctor --repair"'
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compacted:
    folder: Path = Path("index")
    bytes_before: int = 12_300_000
    bytes_after: int = 4_500_000
    dropped_rebuild: bool = False
    is_shrunk: bool = True


@dataclass(frozen=True)
class Moved:
    folder: Path = Path("a\x1b[31mb")
    file: Path = Path("file")
    sources: int = 3
    documents: int = 4
    passages: int = 5
    n_bytes: int = 6


def test_a_finding_is_aligned_and_its_remedy_stands_beneath() -> None:
    assert list(finding_lines(Found("words", "sound", "they are indexed", ""), 80)) == [
        "ok       words          they are indexed"
    ]
    assert list(finding_lines(Found(state="note"), 80)) == [
        "note     documents      texts are not as they were stored",
        '                        run "ragcli doctor --repair"',
    ]


def test_many_files_are_named_in_part_to_people_and_whole_to_programs() -> None:
    found = Found(paths=tuple(f"notes/{number}\x07.txt" for number in range(9)))
    lines = list(finding_lines(found, 80))
    assert all(len(line) <= 80 for line in lines)
    told = " ".join(line.strip() for line in lines)
    assert "notes/4␇.txt and 4 more: texts are not" in told
    assert "notes/5" not in told
    assert json.loads(finding_json(found))["paths"] == list(found.paths)


def test_a_narrow_terminal_and_a_long_name_break_no_word() -> None:
    found = Found(paths=("x" * 90,))
    assert "x" * 90 + ":" in "\n".join(finding_lines(found, 20))


def test_what_was_mended_is_wrapped() -> None:
    first, second = mended_lines("copied 400 documents " + "and more " * 8, 80)
    assert first.startswith("mended   copied 400 documents")
    assert second.startswith("         ")


def test_sizes_before_and_after() -> None:
    assert list(compaction_lines(Compacted())) == ["12.3 MB → 4.5 MB"]
    assert len(list(compaction_lines(Compacted(dropped_rebuild=True, is_shrunk=False)))) == 3


def test_no_folder_steers_the_terminal() -> None:
    assert imported_line(Moved()) == "3 files, 4 documents, 5 passages → a␛[31mb"
