from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ragcli.render.summary import (
    byte_size,
    failure_line,
    failure_lines,
    outcome_json,
    outcome_line,
    report_json,
    report_line,
)


@dataclass(frozen=True)
class Failure:
    path: str
    reason: str


@dataclass(frozen=True)
class Report:
    index: Path = Path("/home/me/.ragcli")
    added: int = 3
    updated: int = 0
    unchanged: int = 2
    removed: int = 1
    documents_added: int = 4
    documents_updated: int = 0
    documents_unchanged: int = 2
    documents_removed: int = 1
    passages_added: int = 45
    passages_embedded: int = 40
    passages_unchanged: int = 9
    passages_removed: int = 7
    skipped: tuple[Failure, ...] = ()
    failed: tuple[Failure, ...] = (Failure("a\x1b.pdf", "encrypted"),)
    seconds: float = 1.23456
    seconds_by_stage: Mapping[str, float] = field(
        default_factory=lambda: {"walk": 0.1, "read": 0.2, "embed": 0.6, "write": 0.2, "derive": 0}
    )
    dry_run: bool = False


@dataclass(frozen=True)
class Outcome:
    path: str = "a\x1b.pdf"
    status: str = "failed"
    reason: str = "bad\x07"
    documents: int = 0
    passages: int = 0


def test_the_line_names_what_happened_and_leaves_out_zeros() -> None:
    assert report_line(Report()) == (
        "3 added, 2 unchanged, 1 removed, 1 failed; 40 passages embedded in 1.2 s"
        " → /home/me/.ragcli"
    )


def test_of_one_file_the_first_failures_are_told_and_how_many_more() -> None:
    records = [Failure("a\x1b.jsonl", f"line {n}: no field 'text'") for n in range(9)]
    failures = [Failure("first.pdf", "encrypted"), *records, *records[:5], Failure("z.pdf", "bad")]
    failures.insert(10, Failure("between.pdf", "damaged"))
    lines = list(failure_lines(failures))
    assert lines == [
        "first.pdf: encrypted",
        *(f"a␛.jsonl: line {n}: no field 'text'" for n in range(5)),
        "a␛.jsonl: and 4 more like these; --json and --log name them all",
        "between.pdf: damaged",
        *(f"a␛.jsonl: line {n}: no field 'text'" for n in range(5)),
        "z.pdf: bad",
    ]


def test_the_line_of_one_passage() -> None:
    assert "; 1 passage embedded in" in report_line(replace(Report(), passages_embedded=1))


def test_the_line_of_a_run_without_files() -> None:
    empty = replace(Report(), added=0, unchanged=0, removed=0, passages_embedded=0, failed=())
    assert report_line(empty).startswith("nothing to do; 0 passages")


def test_the_line_of_a_dry_run_says_that_nothing_was_written() -> None:
    dry = replace(Report(), dry_run=True, skipped=(Failure("b.txt", "too large"),))
    assert report_line(dry) == (
        "3 added, 2 unchanged, 1 removed, 1 skipped, 1 failed; nothing was written (--dry-run)"
    )


def test_what_became_of_a_file_is_one_line_without_control_characters() -> None:
    assert outcome_line(Outcome()) == "failed     a␛.pdf  (bad␇)"
    assert json.loads(outcome_json(Outcome(), "2026-01-02T03:04:05+00:00")) == {
        "schema": 1,
        "time": "2026-01-02T03:04:05+00:00",
        "path": "a\x1b.pdf",
        "status": "failed",
        "reason": "bad\x07",
        "documents": 0,
        "passages": 0,
    }


def test_the_object_has_every_count_in_its_order() -> None:
    assert list(json.loads(report_json(Report())).items()) == [
        ("schema", 1),
        ("index", "/home/me/.ragcli"),
        ("dry_run", False),
        ("added", 3),
        ("updated", 0),
        ("unchanged", 2),
        ("removed", 1),
        ("documents", {"added": 4, "updated": 0, "unchanged": 2, "removed": 1}),
        ("passages", {"added": 45, "embedded": 40, "unchanged": 9, "removed": 7}),
        ("skipped", []),
        ("failed", [{"path": "a\x1b.pdf", "reason": "encrypted"}]),
        ("seconds", 1.235),
        ("seconds_by_stage", {"walk": 0.1, "read": 0.2, "embed": 0.6, "write": 0.2, "derive": 0}),
        ("encoder_share", 0.6),
    ]


def test_a_failure_is_one_line_without_control_characters() -> None:
    assert failure_line(Failure("a\x1b\n.pdf", "bad\x07")) == "a␛␊.pdf: bad␇"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_400_000, "1.4 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_byte_size(count: int, shown: str) -> None:
    assert byte_size(count) == shown
