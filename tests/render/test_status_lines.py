from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ragcli.render.status import status_json, status_lines

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)


@dataclass(frozen=True)
class MadeBy:
    encoder_name: str = "mini\x1b"
    encoder_revision: str = "0123456789abcdef"
    dimension: int = 384
    max_tokens: int = 200


@dataclass(frozen=True)
class Summary:
    sources: int = 4
    documents: int = 9
    passages: int = 30
    bytes_on_disk: int = 123_456
    fingerprint: MadeBy = MadeBy()
    created_at: datetime = MOMENT
    updated_at: datetime = MOMENT
    schema_version: int = 1


def test_a_person_sees_counts_size_and_encoder() -> None:
    lines = list(status_lines(Summary(), Path(".ragcli")))
    assert lines[:6] == [
        "index      .ragcli",
        "files      4",
        "documents  9",
        "passages   30 of at most 200 tokens",
        "size       123.5 kB",
        "encoder    mini␛ (384 dimensions, 0123456789ab)",
    ]


def test_a_program_gets_the_whole_revision_and_times_in_utc() -> None:
    status = json.loads(status_json(Summary(), Path("/x/.ragcli")))
    assert status["schema"] == 1
    assert status["encoder"]["revision"] == "0123456789abcdef"
    assert status["created_at"] == "2026-03-01T12:30:00+00:00"
    assert (status["files"], status["documents"], status["passages"]) == (4, 9, 30)


@dataclass(frozen=True)
class Tuned:
    fusion: str | None = "rrf"
    dense_weight: float | None = 0.35
    k: int | None = 4
    n_questions: int = 30


def test_what_it_was_tuned_to_is_told_if_it_was() -> None:
    *_, last = status_lines(Summary(), Path("x"), Tuned())
    assert last == "tuned      rrf, dense weight 0.35, k 4 (on 30 questions)"
    *_, last = status_lines(Summary(), Path("x"), Tuned(None, None, 3))
    assert last == "tuned      default weights, k 3 (on 30 questions)"
    untuned = list(status_lines(Summary(), Path("x"), Tuned(None, None, None, 0)))
    assert untuned == list(status_lines(Summary(), Path("x")))
    status = json.loads(status_json(Summary(), Path("x"), Tuned()))
    assert status["tuned"] == {"fusion": "rrf", "dense_weight": 0.35, "k": 4, "n": 30}
