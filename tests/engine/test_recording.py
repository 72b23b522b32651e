from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.engine.asking import AskOptions, ask_with_basis
from ragcli.engine.indexing import index_paths
from ragcli.engine.record_format import (
    Record,
    RecordedQuestion,
    parse_record,
    record_digest,
    record_line,
)
from ragcli.engine.recording import options_of, record_of
from ragcli.errors import InputError
from ragcli.reader.confidence import CALIBRATIONS
from ragcli.records import Question
from ragcli.retrieval.filters import make_filters
from ragcli.retrieval.ranking import Ranking

REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
Change = Callable[[dict[str, Any]], object]
WHEN = "When is the project review due?"


@pytest.fixture(scope="module")
def record() -> Record:
    question = Question(WHEN, "q1", ("Otters hold hands.", f"Plans\n\n{REVIEW}\n"))
    ((answer, basis),) = ask_with_basis(None, [question], AskOptions(context_name="notes"))
    return record_of(answer, basis)


def test_a_record_holds_what_the_answer_rests_on(record: Record) -> None:
    assert record.answer == "14 March 2025"
    assert record.question == RecordedQuestion(
        WHEN, "q1", ("Otters hold hands.", f"Plans\n\n{REVIEW}\n")
    )
    passage = record.passages[1]
    assert (passage.rank, passage.path, passage.score) == (2, "notes#2", None)
    text = f"Plans\n\n{REVIEW}\n"
    assert passage.text == text[passage.start : passage.end]
    for part in (*record.sentences, *record.tokens):
        source = ("Otters hold hands.", text)[(part.passage or 0) - 1]
        assert source[part.start : part.end] == part.text
    assert {token.source for token in record.tokens} == {"copied"}
    shares = [one.attribution for one in record.passages]
    assert sum(shares) + record.vocabulary_share == pytest.approx(1.0, abs=1e-4)
    assert record.models.encoder is None, "all contexts were read: none had to be chosen"
    assert len(record.models.reader.revision) == len(record.models.calibration) == 64
    assert record.index is None
    assert (record.settings.k, record.settings.attribution) == (5, "effect")


def test_the_calibration_goes_by_the_digest_of_its_file(record: Record) -> None:
    assert (
        record.models.calibration == hashlib.sha256(CALIBRATIONS["short"].read_bytes()).hexdigest()
    )


@given(text=st.text(st.characters(codec=None, exclude_categories=())))
def test_writing_and_reading_changes_nothing(record: Record, text: str) -> None:
    question = RecordedQuestion(text, text, (text,))
    changed = replace(record, question=question, answer=text)
    line = record_line(changed)
    assert "\n" not in line
    stored = parse_record(line, 7)
    assert (stored.line, stored.record, stored.damage) == (7, changed, ())
    line.encode()


def test_order_and_spacing_are_no_damage_and_other_keys_are_kept_out(record: Record) -> None:
    fields: dict[str, Any] = json.loads(record_line(record))
    assert next(iter(fields)) == "format"
    assert list(fields)[-1] == "sha256"
    shuffled = dict(reversed(fields.items()))
    assert parse_record(json.dumps(shuffled, indent=1)).damage == ()
    later = {**fields, "remark": {"passed": True}}
    assert parse_record(json.dumps(later)).damage != ()
    later["sha256"] = record_digest(later)
    assert parse_record(json.dumps(later)).record == record
    assert parse_record(json.dumps(later)).damage == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r.update(answer="15 March 2025"), "something in it was changed"),
        (lambda r: r["question"].update(text="When?"), "something in it was changed"),
        (lambda r: r["models"].update(calibration="0"), "something in it was changed"),
        (lambda r: r.update(sha256="0"), "something in it was changed"),
        (lambda r: r.pop("sha256"), "something in it was changed"),
        (lambda r: r["passages"][1].update(text="No."), "the text of passage 2 (notes#2)"),
        (lambda r: r["passages"][0].update(sha256="0"), "the text of passage 1 (notes#1)"),
    ],
)
def test_what_was_edited_is_damage(record: Record, change: Change, told: str) -> None:
    fields = json.loads(record_line(record))
    change(fields)
    (damage,) = parse_record(json.dumps(fields)).damage
    assert damage.startswith(told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r.update(format="ragcli-record-9"), "is no record of the format"),
        (lambda r: r.pop("passages"), "record lacks passages"),
        (lambda r: r["settings"].pop("k"), "record.settings lacks k"),
        (lambda r: r["settings"].update(k=True), "record.settings.k is not a whole number"),
        (lambda r: r["settings"].update(k=0), "record.settings.k is not a whole number"),
        (lambda r: r.update(confidence="high"), "record.confidence is not a number"),
        (lambda r: r.update(confidence=float("nan")), "record.confidence is not a number"),
        (lambda r: r.update(answer=["x"]), "record.answer is not a text"),
        (lambda r: r.update(abstained=0), "record.abstained is not true or false"),
        (lambda r: r.update(models=None), "record.models is not an object"),
        (lambda r: r.update(tokens={}), "record.tokens is not a list"),
        (lambda r: r["passages"][1].update(line="3"), "record.passages[1].line is not a whole"),
        (lambda r: r["passages"][1].update(rank=1), "are not ranked 1, 2"),
        (lambda r: r["tokens"][0].update(passage=3), "names a passage that it does not hold"),
        (lambda r: r["question"].update(contexts=None), "needs an index or contexts"),
    ],
)
def test_what_is_no_record_is_told(record: Record, change: Change, told: str) -> None:
    fields = json.loads(record_line(record))
    change(fields)
    with pytest.raises(InputError) as raised:
        parse_record(json.dumps(fields))
    assert told in raised.value.message


@pytest.mark.parametrize("content", ["", "{", "[]", "7", "[" * 100_000, '"\udcff"'])
def test_other_lines_are_no_records(content: str) -> None:
    with pytest.raises(InputError):
        parse_record(content)


def test_the_settings_of_a_record_are_those_of_its_question(corpus: Path) -> None:
    folder = corpus / ".ragcli"
    index_paths([corpus], folder)
    here = corpus / "docs"
    options = AskOptions(
        k=2,
        ranking=Ranking(dense_weight=0.25, per_document=1),
        filters=make_filters(["suffix = .md", "title~leave"], ["./leave.md"], str(here)),
        seen_from=here,
    )
    ((answer, basis),) = ask_with_basis(folder, [Question("How much leave?")], options)
    record = record_of(answer, basis)
    assert record.settings.filter == ("suffix=.md", "title~leave")
    assert record.settings.path == ("./leave.md",)
    assert (record.settings.fusion, record.settings.dense_weight) == ("mean", 0.25)
    assert [passage.path for passage in record.passages] == ["leave.md"]
    assert record.index is not None
    assert (record.index.folder, record.index.seen_from) == (str(folder), "docs")
    assert (len(record.index.lineage), record.index.generation) == (32, 2)
    assert record.models.encoder is not None
    assert record.index.fingerprint["encoder_revision"] == record.models.encoder.revision

    again = options_of(record, folder)
    assert again.ranking == basis.options.ranking
    assert again.filters.conditions == options.filters.conditions
    assert again.seen_from == here
    moved = options_of(record, corpus / "elsewhere" / "index")
    assert moved.seen_from == corpus / "elsewhere" / "docs"


def test_the_verification_is_recorded(record: Record) -> None:
    assert record.verification is None
    question = Question(WHEN, "q1", ("Otters hold hands.", REVIEW))
    options = AskOptions(verify=True)
    ((answer, basis),) = ask_with_basis(None, [question], options)
    verified = record_of(answer, basis)
    assert verified.verification is not None
    assert verified.verification.verdict == "verified"
    assert verified.verification.cited == (2,)
    assert verified.verification.passages_alone.answer == "14 March 2025"
    assert parse_record(record_line(verified)).record == verified
