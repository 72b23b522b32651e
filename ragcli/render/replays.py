"""What became of recorded answers: for a person, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from ragcli.render.machine import json_line
from ragcli.render.neutral import printable

IDENTICAL, DIFFERS = "identical", "differs"
CONFIDENCE_DIGITS = 4
_INDENT = "   "
_LEAST_WIDTH = 20


class Difference(Protocol):
    """One thing that differs: its kind, and in words what it was and is."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102


class Rereading(Protocol):
    """What reading a record's question once more gave."""

    @property
    def answer(self) -> str | None: ...  # noqa: D102
    @property
    def confidence(self) -> float: ...  # noqa: D102
    @property
    def differences(self) -> Sequence[Difference]: ...  # noqa: D102


class RecordedQuestion(Protocol):
    """The question of a record."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def id(self) -> str | None: ...  # noqa: D102


class Record(Protocol):
    """What is shown of a record."""

    @property
    def recorded_at(self) -> str: ...  # noqa: D102
    @property
    def ragcli(self) -> str: ...  # noqa: D102
    @property
    def question(self) -> RecordedQuestion: ...  # noqa: D102
    @property
    def answer(self) -> str | None: ...  # noqa: D102
    @property
    def confidence(self) -> float: ...  # noqa: D102


class StoredRecord(Protocol):
    """A record and the line (1-based) that it was read from."""

    @property
    def line(self) -> int: ...  # noqa: D102
    @property
    def record(self) -> Record: ...  # noqa: D102


class Replay(Protocol):
    """What became of a record; see ``engine.replaying``."""

    @property
    def stored(self) -> StoredRecord: ...  # noqa: D102
    @property
    def differences(self) -> Sequence[Difference]: ...  # noqa: D102
    @property
    def recorded_passages(self) -> Rereading | None: ...  # noqa: D102
    @property
    def present_passages(self) -> Rereading | None: ...  # noqa: D102
    @property
    def is_reproducible(self) -> bool: ...  # noqa: D102
    @property
    def is_identical(self) -> bool: ...  # noqa: D102


class ReplayWriter:
    """Writes a line for each record, and below it what differs, a line each."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, replay: Replay) -> None:
        """Write what became of one record."""
        verdict, style = (IDENTICAL, "green") if replay.is_identical else (DIFFERS, "bold yellow")
        stored = replay.stored
        first = Text.assemble(
            f"{stored.line}  ",
            (f"{verdict:<{len(IDENTICAL)}}", style),
            f"  {printable(stored.record.question.text)}",
        )
        first.truncate(self._console.width, overflow="ellipsis")
        self._console.print(first, soft_wrap=True)
        if not replay.is_identical:
            for line in _details(replay):
                self._write_wrapped(line)

    def _write_wrapped(self, line: str) -> None:
        width = max(self._console.width - len(_INDENT), _LEAST_WIDTH)
        for number, part in enumerate(Text(printable(line)).wrap(self._console, width - 2)):
            part.rstrip()
            indent = _INDENT if number == 0 else f"{_INDENT}  "
            self._console.print(Text(indent).append_text(part), soft_wrap=True)


def _details(replay: Replay) -> Iterator[str]:
    for difference in replay.differences:
        yield f"{difference.kind}: {difference.detail}"
    if replay.recorded_passages is None:
        return
    if replay.is_reproducible:
        yield "reproducible: the recorded passages still give the recorded answer"
        return
    told = ", ".join(f"{one.kind}: {one.detail}" for one in replay.recorded_passages.differences)
    yield f"not reproducible: from the recorded passages, {told}"


def replay_json(replay: Replay) -> str:
    """Return what became of one record as one JSON object."""
    stored, record = replay.stored, replay.stored.record
    question = record.question
    identity = {} if question.id is None else {"question_id": question.id}
    return json_line(
        {
            "line": stored.line,
            "question": question.text,
            **identity,
            "recorded_at": record.recorded_at,
            "ragcli": record.ragcli,
            "identical": replay.is_identical,
            "reproducible": replay.is_reproducible,
            "differences": _differences(replay.differences),
            "answer": record.answer,
            "confidence": round(record.confidence, CONFIDENCE_DIGITS),
            "recorded_passages": _rereading(replay.recorded_passages),
            "present_passages": _rereading(replay.present_passages),
        }
    )


def _differences(differences: Sequence[Difference]) -> list[dict[str, str]]:
    return [{"kind": one.kind, "detail": one.detail} for one in differences]


def _rereading(rereading: Rereading | None) -> dict[str, Any] | None:
    if rereading is None:
        return None
    return {
        "answer": rereading.answer,
        "confidence": round(rereading.confidence, CONFIDENCE_DIGITS),
        "differences": _differences(rereading.differences),
    }


def summary_line(n_identical: int, n_different: int, n_unreadable: int) -> str:
    """Return the one line that sums up a replay."""
    total = n_identical + n_different + n_unreadable
    counts = (
        (n_identical, "identical"),
        (n_different, "different"),
        (n_unreadable, "unreadable"),
    )
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{total} record{'' if total == 1 else 's'}" + (f": {told}" if told else "")
