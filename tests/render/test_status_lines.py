from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ragcli.render.status import status_json, status_lines

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)


@dataclass(frozen=True)
class MadeBy:
    encoder_name: str = "mini\x1b"
    encoder_revision: str = "0123456789abcdef"
    dimension: int = 384
    max_tokens: int = 200


@dataclass(frozen=True)
class Made:
    kind: str = "flat"
    factory: str = "Flat"
    passages: int = 30
    is_exact: bool = True
    enough_at: int | None = None
    requested_recall: float | None = None
    measured_recall: float | None = None
    parameter: str | None = None
    setting: int | None = None


IVF = Made("ivf", "IVF400,SQ8", 30, False, None, 0.95, 0.9523, "nprobe", 24)


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
    index_choice: str = "auto"
    requested_recall: float = 0.95
    derivation: Made | None = Made()


def test_a_person_sees_counts_size_and_encoder() -> None:
    lines = list(status_lines(Summary(), Path(".ragcli")))
    assert lines[:8] == [
        "index      .ragcli",
        "files      4",
        "documents  9",
        "passages   30 of at most 200 tokens",
        "size       123.5 kB",
        "encoder    mini␛ (384 dimensions, 0123456789ab)",
        "vectors    flat, chosen automatically",
        "recall@10  1 (exact)",
    ]


@pytest.mark.parametrize(
    ("choice", "made", "told"),
    [
        (
            "auto",
            IVF,
            ["ivf (IVF400,SQ8), chosen automatically", "0.952 at nprobe 24 (0.95 asked for)"],
        ),
        (
            "HNSW8,Flat",
            Made("HNSW8,Flat", "HNSW8,Flat", 30, False, None, 0.99, 0.97, "efSearch", 30),
            ["HNSW8,Flat, as chosen", "0.970 at efSearch 30 (0.99 asked for, not reached)"],
        ),
        (
            "IVF64,SQ8",
            Made("IVF64,SQ8", enough_at=256),
            ["flat, until there are 256 passages for IVF64,SQ8", "1 (exact)"],
        ),
        (
            "auto",
            None,
            ['not made yet: run "ragcli index PATH"', "1 (every vector is looked at)"],
        ),
    ],
)
def test_a_person_sees_the_index_type_and_its_measured_recall(
    choice: str, made: Made | None, told: list[str]
) -> None:
    summary = Summary(index_choice=choice, derivation=made)
    lines = list(status_lines(summary, Path(".ragcli")))[6:8]
    assert lines == [f"vectors    {told[0]}", f"recall@10  {told[1]}"]


def test_a_program_gets_the_type_its_recall_and_its_setting() -> None:
    def vectors(summary: Summary) -> object:
        return json.loads(status_json(summary, Path("/x/.ragcli")))["vectors"]

    assert vectors(Summary(derivation=None)) is None
    assert vectors(Summary(derivation=IVF)) == {
        "choice": "auto",
        "type": "ivf",
        "factory": "IVF400,SQ8",
        "requested_recall": 0.95,
        "measured_recall": 0.9523,
        "parameter": "nprobe",
        "setting": 24,
        "passages_when_made": 30,
        "enough_at": None,
    }


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
