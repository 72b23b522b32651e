from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ragcli.render.summary import byte_size, failure_line, report_json, report_line


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
    passages_added: int = 40
    passages_removed: int = 7
    failed: tuple[Failure, ...] = (Failure("a\x1b.pdf", "encrypted"),)
    seconds: float = 1.23456


def test_the_line_names_what_happened_and_leaves_out_zeros() -> None:
    assert report_line(Report()) == (
        "3 added, 2 unchanged, 1 removed, 1 failed; 40 passages embedded in 1.2 s"
        " → /home/me/.ragcli"
    )


def test_the_line_of_a_run_without_files() -> None:
    empty = replace(Report(), added=0, unchanged=0, removed=0, passages_added=0, failed=())
    assert report_line(empty).startswith("nothing to do; 0 passages")


def test_the_object_has_every_count_in_its_order() -> None:
    assert list(json.loads(report_json(Report())).items()) == [
        ("schema", 1),
        ("index", "/home/me/.ragcli"),
        ("added", 3),
        ("updated", 0),
        ("unchanged", 2),
        ("removed", 1),
        ("passages_added", 40),
        ("passages_removed", 7),
        ("failed", [{"path": "a\x1b.pdf", "reason": "encrypted"}]),
        ("seconds", 1.235),
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
