from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ragcli.engine.asking import BATCH_SIZE, AskOptions, ask_with_basis
from ragcli.engine.differences import (
    SCORE_TOLERANCE,
    passage_differences,
    same_but_for_ties,
)
from ragcli.engine.indexing import index_paths
from ragcli.engine.record_format import (
    Record,
    RecordedModel,
    StoredRecord,
    parse_record,
    record_line,
)
from ragcli.engine.recording import record_of
from ragcli.engine.replaying import Replay, replay
from ragcli.errors import IndexMissingError
from ragcli.records import Question, ScoredPassage
from ragcli.retrieval.filters import make_filters
from ragcli.retrieval.ranking import Ranking

LEAVE = "How many days of paid leave has every employee?"
OWN = Question("Who leads the team?", "own", ("Carl Holm leads the team.", "Otters swim."))
LEXICAL = Ranking(mode="lexical")
BY_WORDS = AskOptions(ranking=LEXICAL)
"""For tests in which it does not matter how passages are found: it loads no encoder."""
Write = Callable[..., Path]


def _record(
    folder: Path | None, questions: Sequence[Question], options: AskOptions = BY_WORDS
) -> list[StoredRecord]:
    lines = [
        record_line(record_of(answer, basis))
        for answer, basis in ask_with_basis(folder, questions, options)
    ]
    return [parse_record(line, number) for number, line in enumerate(lines, start=1)]


def _kinds(replayed: Replay) -> list[str]:
    return [difference.kind for difference in replayed.differences]


def _told(replayed: Replay) -> str:
    return "\n".join(f"{one.kind}: {one.detail}" for one in replayed.differences)


@pytest.fixture
def folder(corpus: Path) -> Path:
    index_paths([corpus], corpus / ".ragcli")
    return corpus / ".ragcli"


def test_nothing_changed_is_identical(folder: Path) -> None:
    questions = [Question(LEAVE), OWN, Question("At how many degrees is green tea brewed?")]
    options = AskOptions(k=2, ranking=LEXICAL, method="cross-attention", form="sentence", beams=3)
    stored = [*_record(folder, questions, AskOptions()), *_record(folder, questions, options)]
    assert [one.record.settings.beams for one in stored] == [4, 4, 4, 3, 3, 3]
    replayed = list(replay(stored))
    assert [_told(one) for one in replayed] == [""] * 6
    assert all(one.is_identical and one.is_reproducible for one in replayed)
    assert [one.stored for one in replayed] == stored
    assert stored[0].record.answer is not None
    assert "25" in stored[0].record.answer
    assert stored[3].record.models.encoder is None


def test_what_was_answered_in_a_batch_is_the_same_alone(folder: Path) -> None:
    questions = [Question(f"{LEAVE} ({n})", str(n)) for n in range(BATCH_SIZE + 1)]
    stored = _record(folder, questions, AskOptions())
    assert all(one.is_identical for one in replay(stored))
    assert next(iter(replay(stored[3:4]))).is_identical


def test_an_edited_document_gives_another_answer(folder: Path, corpus: Path, write: Write) -> None:
    stored = _record(folder, [Question(LEAVE)], AskOptions(ranking=LEXICAL, k=1, seen_from=corpus))
    write(corpus / "docs/leave.md", "# Leave\n\nEvery employee has 31 days of paid leave a year.\n")
    index_paths([corpus], folder)
    (replayed,) = replay(stored)
    assert _kinds(replayed) == [
        "index changed",
        "passage changed",
        "answer changed",
    ]
    told = _told(replayed)
    assert "index changed: generation 2 → 3" in told
    assert "passage changed: docs/leave.md:1 has another text\n" in told
    assert "“25" in told.splitlines()[-1].partition("→")[0]
    assert "“31" in told.splitlines()[-1].partition("→")[2]
    assert replayed.is_reproducible
    assert not replayed.is_identical


def test_a_document_that_is_gone_and_one_that_moved_down(
    folder: Path, corpus: Path, write: Write
) -> None:
    questions = [Question("When was the boiler serviced?"), Question("How is green tea brewed?")]
    stored = _record(folder, questions, AskOptions(ranking=LEXICAL, k=1, seen_from=corpus))
    (corpus / "docs/boiler.txt").unlink()
    tea = "Green tea is brewed at 80 degrees.\n"
    filler = "The mill stands by the river and has done so for years. " * 30
    write(corpus / "tea.txt", f"{filler}\n\n{tea}")
    index_paths([corpus], folder)
    gone, moved = replay(stored)
    assert "passage gone: docs/boiler.txt:1: its document is not in the index any more" in _told(
        gone
    )
    assert "passage changed: tea.txt:1" in _told(moved)
    assert gone.is_reproducible
    assert moved.is_reproducible


def test_another_document_changes_the_index_and_not_the_answer(
    folder: Path, corpus: Path, write: Write
) -> None:
    stored = _record(folder, [Question(LEAVE)], AskOptions(ranking=LEXICAL, k=1))
    write(corpus / "otters.txt", "Otters hold hands while they sleep.\n")
    index_paths([corpus], folder)
    (replayed,) = replay(stored)
    assert _told(replayed) == "index changed: generation 2 → 3"


def test_an_index_that_was_rebuilt_or_moved(
    folder: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = corpus / "docs"
    filters = make_filters([], ["./leave.md"], str(here))
    stored = _record(
        folder, [Question(LEAVE)], AskOptions(ranking=LEXICAL, filters=filters, seen_from=here)
    )
    assert [passage.path for passage in stored[0].record.passages] == ["leave.md"]
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.move(corpus, elsewhere)
    (missing,) = replay(stored)
    assert _kinds(missing) == ["index changed"]
    assert f"no index in {folder}; name it with --index" in _told(missing)
    assert missing.is_reproducible
    assert missing.present_passages is None
    (moved,) = replay(stored, elsewhere / ".ragcli")
    assert _told(moved) == ""
    index_paths([elsewhere], elsewhere / ".ragcli", rebuild=True)
    (rebuilt,) = replay(stored, elsewhere / ".ragcli")
    assert _told(rebuilt) == "index changed: it is another index, or was rebuilt"
    with pytest.raises(IndexMissingError):
        next(replay(stored, elsewhere / "docs"))


def _changed(record: Record) -> list[tuple[Record, str]]:
    """The record with one thing other than it was, and what is to be told of that."""
    models, settings = record.models, record.settings
    other = RecordedModel("ragcli-reader", "0" * 64)
    return [
        (
            replace(record, models=replace(models, reader=other)),
            "model changed: reader ragcli-reader@000000000000 →",
        ),
        (
            replace(record, models=replace(models, calibration="1" * 64)),
            "model changed: calibration 111111111111 →",
        ),
        (
            replace(record, models=replace(models, encoder=RecordedModel("all-MiniLM", "2" * 64))),
            "model changed: encoder all-MiniLM@222222222222 →",
        ),
        (
            replace(record, settings=replace(settings, attribution="guess")),
            "settings unknown: unknown attribution 'guess'",
        ),
        (
            replace(record, settings=replace(settings, mode="guess")),
            "settings unknown: unknown mode 'guess'",
        ),
        (replace(record, answer="99"), "answer changed: “99” ("),
        (replace(record, answer=None, abstained=True), "answer changed: no answer ("),
        (replace(record, confidence=record.confidence - 0.1), "confidence changed: "),
        (
            replace(record, vocabulary_share=record.vocabulary_share + 0.3),
            "attribution changed: by up to 0.30, of the reader's own words",
        ),
        (
            replace(record, sentences=()),
            "attribution changed: by up to ",
        ),
        (
            replace(record, tokens=record.tokens[1:]),
            "attribution changed: by up to ",
        ),
    ]


def test_each_thing_that_differs_is_named(folder: Path) -> None:
    (stored,) = _record(folder, [Question(LEAVE)], AskOptions())
    changes = _changed(stored.record)
    records = [replace(stored, record=record) for record, _ in changes]
    for replayed, (_, told) in zip(replay(records), changes, strict=True):
        assert _told(replayed).startswith(told)
        assert len(replayed.differences) == 1
        of_a_model = replayed.differences[0].kind == "model changed"
        assert replayed.is_reproducible == of_a_model, "the models at hand still answer the same"


def test_another_number_format_is_told_only_where_a_reading_differs(folder: Path) -> None:
    (stored,) = _record(folder, [Question(LEAVE)])
    models = replace(stored.record.models, arithmetic="float8")
    same = replace(stored.record, models=models)
    other = replace(same, answer="99")
    first, second = replay([replace(stored, record=same), replace(stored, record=other)])
    assert first.is_identical
    assert _kinds(second) == ["model changed", "answer changed"]
    assert "arithmetic float8 → " in _told(second)


def test_a_tampered_text_is_damage_and_what_follows_is_told(folder: Path) -> None:
    (stored,) = _record(folder, [Question(LEAVE)], AskOptions(ranking=LEXICAL, k=1))
    fields = json.loads(record_line(stored.record))
    fields["passages"][0]["text"] = fields["passages"][0]["text"].replace("25", "52")
    (replayed,) = replay([parse_record(json.dumps(fields))])
    assert _kinds(replayed) == ["record damaged"]
    assert "docs/leave.md" in _told(replayed)
    assert not replayed.is_reproducible
    assert replayed.recorded_passages is not None
    assert "52" in (replayed.recorded_passages.answer or "")
    assert replayed.present_passages is not None
    assert replayed.present_passages.answer == stored.record.answer


def test_contexts_that_came_with_the_question_are_cut_and_chosen_again() -> None:
    contexts = ("Otters swim.", "Tea is green.", "Carl Holm leads the team.")
    options = AskOptions(ranking=LEXICAL, k=1, context_name="notes.txt")
    (stored,) = _record(None, [Question("Who leads the team?", "c", contexts)], options)
    assert [passage.path for passage in stored.record.passages] == ["notes.txt#3"]
    assert stored.record.models.encoder is not None
    (replayed,) = replay([stored])
    assert replayed.is_identical
    given = replace(stored.record.question, contexts=(*contexts[:2], "Anna Berg leads it."))
    fewer = replace(stored.record.question, contexts=contexts[:2])
    records = [replace(stored.record, question=question) for question in (given, fewer)]
    edited, gone = replay([replace(stored, record=record) for record in records])
    assert _told(edited).startswith("passage changed: notes.txt#3:1 has another text\nanswer")
    assert "passage changed: notes.txt#3:1: the contexts are cut or chosen otherwise" in _told(gone)
    assert edited.is_reproducible
    assert gone.is_reproducible


def test_no_record_can_have_an_encoder_downloaded() -> None:
    contexts = ("Otters swim.", "Carl Holm leads the team.")
    options = AskOptions(ranking=LEXICAL, k=1)
    (stored,) = _record(None, [Question("Who leads the team?", None, contexts)], options)
    models = replace(stored.record.models, encoder=RecordedModel("someone/model", "0" * 64))
    (replayed,) = replay([replace(stored, record=replace(stored.record, models=models))])
    assert _told(replayed) == (
        "model changed: the encoder someone/model is no folder on this machine"
    )
    assert replayed.is_reproducible


def test_an_index_of_another_encoder_is_told(folder: Path) -> None:
    (stored,) = _record(folder, [Question(LEAVE)])
    index = stored.record.index
    assert index is not None
    fingerprint = {**index.fingerprint, "encoder_name": "other"}
    record = replace(stored.record, index=replace(index, fingerprint=fingerprint))
    (replayed,) = replay([replace(stored, record=record)])
    assert _told(replayed) == "index changed: encoder name other → all-MiniLM-L6-v2"


def test_passages_that_stand_elsewhere_are_told_unless_it_is_a_tie(
    folder: Path, corpus: Path
) -> None:
    options = AskOptions(k=3, seen_from=corpus)
    ((answer, basis),) = ask_with_basis(folder, [Question(LEAVE)], options)
    first, second, third = answer.passages
    swapped = [replace(second, rank=1), replace(first, rank=2), third]
    assert not same_but_for_ties(record_of(answer, basis), swapped)
    differences = list(passage_differences(record_of(answer, basis), swapped, None))
    assert [one.kind for one in differences] == ["ranking changed"] * 2
    assert differences[0].detail == "docs/leave.md:1 rank 1 → 2"

    record = record_of(answer, basis)
    lower = replace(record.passages[0], start=7)
    shifted = replace(record, passages=(lower, *record.passages[1:]))
    assert [one.detail for one in passage_differences(shifted, answer.passages, None)] == [
        "docs/leave.md:1 begins at character 0, not 7; same text"
    ]

    near: list[ScoredPassage] = [
        replace(hit, score=0.5 - 0.9 * SCORE_TOLERANCE * n) for n, hit in enumerate(answer.passages)
    ]
    tied = record_of(replace(answer, passages=tuple(near)), basis)
    assert same_but_for_ties(tied, swapped)
    assert list(passage_differences(tied, swapped, None)) == []
    assert not same_but_for_ties(tied, [near[2], near[1], near[0]])
