from __future__ import annotations

import io
import json
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console

from ragcli.render.replays import ReplayWriter, replay_json, summary_line


@dataclass
class _Difference:
    kind: str
    detail: str


@dataclass
class _Rereading:
    answer: str | None
    confidence: float
    differences: list[_Difference] = field(default_factory=list)


@dataclass
class _Question:
    text: str
    id: str | None = None


@dataclass
class _Record:
    question: _Question
    recorded_at: str = "2026-01-02T03:04:05.678+00:00"
    ragcli: str = "0.1.0"
    answer: str | None = "27"
    confidence: float = 0.851234567


@dataclass
class _Stored:
    record: _Record
    line: int = 12


@dataclass
class _Replay:
    stored: _Stored
    differences: list[_Difference]
    recorded_passages: _Rereading | None
    present_passages: _Rereading | None

    @property
    def is_reproducible(self) -> bool:
        return self.recorded_passages is not None and not self.recorded_passages.differences

    @property
    def is_identical(self) -> bool:
        return self.is_reproducible and not self.differences


CHANGED = _Difference("answer changed", "“27” (0.85) → “30” (0.80)")


def _replay(question: str = "How many days?", *differences: _Difference) -> _Replay:
    same = _Rereading("27", 0.851234567)
    present = _Rereading("30", 0.8, list(differences))
    return _Replay(_Stored(_Record(_Question(question, "q1"))), list(differences), same, present)


def _written(replay: _Replay, *, colour: bool = False) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=80,
        force_terminal=colour,
        color_system="standard" if colour else None,
        markup=False,
        emoji=False,
        highlight=False,
    )
    ReplayWriter(console).write(replay)
    return stream.getvalue()


def test_what_is_identical_takes_one_line() -> None:
    assert _written(_replay()) == "12  identical  How many days?\n"


def test_what_differs_stands_below_a_line_each() -> None:
    assert _written(_replay("How many days?", CHANGED)).splitlines() == [
        "12  differs    How many days?",
        "   answer changed: “27” (0.85) → “30” (0.80)",
        "   reproducible: the recorded passages still give the recorded answer",
    ]
    other = _replay("How many days?", CHANGED)
    other.recorded_passages = _Rereading("30", 0.8, [CHANGED])
    assert "not reproducible: from the recorded passages, answer changed" in _written(other)
    other.recorded_passages = None
    assert "reproducible" not in _written(other)


def test_it_fits_80_columns_and_cannot_steer_the_terminal() -> None:
    long = _Difference("passage changed", f"{'folder/' * 30}\x1b[2J.md: 会議{'議' * 90}")
    written = _written(_replay(f"{'会議' * 40}\x1b]0;owned\x07", long), colour=True)
    assert "\x1b[2J" not in written
    assert "\x1b]" not in written
    plain = _written(_replay(f"{'会議' * 40}\x1b]0;owned\x07", long))
    assert all(cell_len(line) <= 80 for line in plain.splitlines())
    assert len(plain.splitlines()) > 4


def test_json_has_both_readings() -> None:
    told = json.loads(replay_json(_replay("How many days?", CHANGED)))
    assert list(told) == [
        "schema", "line", "question", "question_id", "recorded_at", "ragcli", "identical",
        "reproducible", "differences", "answer", "confidence", "recorded_passages",
        "present_passages",
    ]  # fmt: skip
    assert (told["identical"], told["reproducible"], told["confidence"]) == (False, True, 0.8512)
    assert told["differences"] == [{"kind": CHANGED.kind, "detail": CHANGED.detail}]
    assert told["recorded_passages"] == {"answer": "27", "confidence": 0.8512, "differences": []}
    assert told["present_passages"]["answer"] == "30"


def test_the_summary_counts() -> None:
    assert summary_line(1, 0, 0) == "1 record: 1 identical"
    assert summary_line(2, 1, 3) == "6 records: 2 identical, 1 different, 3 unreadable"
    assert summary_line(0, 0, 0) == "0 records"
