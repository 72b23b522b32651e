from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ragcli.records import (
    Answer,
    Attribution,
    HeadFocus,
    Passage,
    Question,
    ScoredPassage,
    SentenceShare,
    StoredPassage,
    TokenShare,
)
from ragcli.render.answers import AnswerWriter, answer_json

KEYS = [
    "schema", "question", "answer", "abstained", "confidence", "support", "passages", "sentences",
    "tokens", "vocabulary_share", "method", "models", "timings",
]  # fmt: skip
LEAVE = "# Leave\n\nEvery employee has 25 days. Unused days\nlapse in March.\n"
BEST = "Unused days\nlapse in March."


def _answer(text: str = LEAVE, best: str = BEST) -> Answer:
    """An answer from the first of two passages, whose text begins at offset 100, line 3."""
    first = Passage(100, 100 + len(text), text, heading="Handbook > Leave", line=3)
    second = Passage(0, 10, "Otters sw.", page=2)
    start = text.index(best)
    sentence = SentenceShare(0, start, start + len(best), best, 0.6)
    at = text.index("March") if "March" in text else start
    return Answer(
        Question("When do days lapse?"),
        "in March",
        0.87654321,
        (
            ScoredPassage(StoredPassage(7, "d", "docs/leave.md", "", False, first), 0.71234567, 1),
            ScoredPassage(StoredPassage(9, "e", "otters.pdf", "", False, second), None, 2),
        ),
        Attribution(
            "copy",
            (0.6, 0.15),
            0.25,
            (sentence, SentenceShare(1, 0, 10, "Otters sw.", 0.15)),
            (
                TokenShare("in", None, None, None, 0.5),
                TokenShare(text[at : at + 5], 0, at, at + 5, 0.9),
            ),
        ),
        (),
        {"encoder": "e@1", "reader": "r@2"},
        {"reading": 0.123456, "total": 1.26},
    )


HEADS = (
    HeadFocus(1, 2, (0.25, 0.75), 3.14159, SentenceShare(1, 0, 10, "Otters\nsw.", 0.4)),
    HeadFocus(2, 1, (1.0, 0.0), 0.0, None),
)


def _written(answer: Answer, width: int = 60, *, colour: bool = False) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        markup=False,
        emoji=False,
        highlight=False,
    )
    AnswerWriter(console, min_confidence=0.25, with_question=False).write(answer)
    return stream.getvalue()


def test_a_person_sees_answer_support_shares_and_footer() -> None:
    assert _written(_answer()) == (
        "in March\n"
        "\n"
        "  “Unused days lapse in March.”\n"
        "  — docs/leave.md:5\n"
        "\n"
        "████████████░░░░░░░░  60%  docs/leave.md:3  Handbook > Leave\n"
        "███░░░░░░░░░░░░░░░░░  15%  otters.pdf p. 2\n"
        "█████░░░░░░░░░░░░░░░  25%  the reader's own words\n"
        "\n"
        "confidence 0.88 · attribution: copy · 1.3 s\n"
    )


def test_colour_marks_what_was_copied() -> None:
    assert "lapse in \x1b[1;33mMarch\x1b[0m." in _written(_answer(), colour=True)


def test_without_an_answer_the_nearest_passages_stand_there() -> None:
    assert _written(replace(_answer(), text=None, confidence=0.1)) == (
        "The documents do not answer this.\n"
        "\n"
        "Nearest passages:\n"
        "  1  0.712  docs/leave.md:3\n"
        "     # Leave Every employee has 25 days. Unused days lapse\n"
        "     in March.\n"
        "  2  otters.pdf p. 2\n"
        "     Otters sw.\n"
        "\n"
        "confidence 0.10 (answers are given from 0.25) · attribution: copy · 1.3 s\n"
    )


def test_without_any_passage_only_the_abstention_is_told() -> None:
    nothing = replace(
        _answer(), text=None, passages=(), attribution=Attribution("copy", (), 1.0, (), ())
    )
    assert _written(nothing).startswith("The documents do not answer this.\n\nconfidence ")


def test_each_head_has_a_line() -> None:
    lines = _written(replace(_answer(), heads=HEADS), 100).splitlines()
    at = lines.index("What each cross-attention head looked at (share of its best passage):")
    assert lines[at + 1 : at + 4] == [
        "  layer 1 head  2   3.1 bits  passage 2  75%  Otters sw.",
        "  layer 2 head  1   0.0 bits  passage 1 100%  ",
        "",
    ]


def test_a_document_cannot_steer_the_terminal() -> None:
    evil = "\x1b]0;title\x07 [bold]March\x1b[2J :smile:"
    answer = _answer(f"# \x1b[1m\n\n{evil}\n", evil)
    heads = (HeadFocus(1, 1, (1.0, 0.0), 1.0, SentenceShare(0, 0, 5, evil, 1.0)),)
    for shown in (answer, replace(answer, text=None), replace(answer, text=evil)):
        assert "\x1b" not in _written(replace(shown, heads=heads), 200)
    assert "␛]0;title␇ [bold]March␛[2J :smile:" in _written(answer, 200)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=200),
       st.integers(40, 100), st.booleans())  # fmt: skip
def test_what_is_quoted_fits_the_width(text: str, width: int, abstained: bool) -> None:
    answer = _answer(f"{text} March", f"{text} March")
    lines = _written(replace(answer, text=None if abstained else text), width).split("\n")
    for line in lines[:-2]:
        assert cell_len(line) <= width


def test_the_question_stands_above_its_answer_in_a_series() -> None:
    stream = io.StringIO()
    writer = AnswerWriter(Console(file=stream, width=80), min_confidence=0.25, with_question=True)
    writer.write(_answer())
    writer.write(replace(_answer(), question=Question("And\x1b now?")))
    assert stream.getvalue().startswith("When do days lapse?\nin March\n")
    assert "\n\nAnd␛ now?\nin March\n" in stream.getvalue()


def test_the_keys_stand_in_their_order() -> None:
    record = json.loads(answer_json(_answer()))
    assert list(record) == KEYS
    assert (record["schema"], record["answer"], record["abstained"]) == (1, "in March", False)
    assert record["confidence"] == 0.8765
    assert record["vocabulary_share"] == 0.25
    assert record["models"] == {"encoder": "e@1", "reader": "r@2"}
    assert record["timings"] == {"reading": 0.1235, "total": 1.26}


def test_offsets_are_those_of_the_document() -> None:
    record = json.loads(answer_json(_answer()))
    start = 100 + LEAVE.index(BEST)
    place = {"start": start, "end": start + len(BEST)}
    assert record["support"] == {
        "path": "docs/leave.md", "passage_id": 7, **place, "line": 5, "page": None, "text": BEST,
    }  # fmt: skip
    assert record["sentences"][0] == {"passage_id": 7, **place, "text": BEST, "attribution": 0.6}
    march = 100 + LEAVE.index("March")
    assert record["tokens"] == [
        {"text": "in", "source": "vocabulary", "passage_id": None, "start": None, "end": None,
         "weight": 0.5},
        {"text": "March", "source": "copied", "passage_id": 7, "start": march, "end": march + 5,
         "weight": 0.9},
    ]  # fmt: skip
    assert record["passages"][1] == {
        "rank": 2, "path": "otters.pdf", "passage_id": 9, "score": None, "attribution": 0.15,
        "text": "Otters sw.",
    }  # fmt: skip
    assert record["passages"][0]["score"] == pytest.approx(0.712346)


def test_an_abstention_has_neither_answer_nor_support() -> None:
    record = json.loads(answer_json(replace(_answer(), text=None)))
    assert list(record) == KEYS
    assert (record["answer"], record["abstained"], record["support"]) == (None, True, None)
    assert len(record["passages"]) == 2


def test_ids_and_heads_are_there_where_they_are_asked_for() -> None:
    answer = replace(_answer(), question=Question("q", "q7"), heads=HEADS)
    record = json.loads(answer_json(answer))
    assert [key for key in record if key not in KEYS] == ["question_id", "heads"]
    assert record["question_id"] == "q7"
    assert record["heads"][0]["passages"] == [0.25, 0.75]
    assert record["heads"][0]["entropy_bits"] == 3.1416
    assert record["heads"][1]["sentence"] is None
