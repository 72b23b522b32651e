from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragcli.records import (
    Answer,
    AnswerFocus,
    AnswerWord,
    Attribution,
    Passage,
    PassageWord,
    Question,
    ScoredPassage,
    SentenceShare,
    StoredPassage,
    Trial,
    Verification,
    WordShares,
)
from ragcli.render.answer_page import answer_page
from ragcli.render.page import packed_weights

TEXT = "It holds 30,522 entries."
HOSTILE = "</script><script>alert(1)</script> <img src=x onerror=alert(1)> \u2029"


@dataclass(frozen=True)
class Model:
    name: str = "a model"
    revision: str = "f00d"


@dataclass(frozen=True)
class Models:
    encoder: Model | None = None
    reader: Model = Model("a reader", "beef")
    calibration: str = "cafe"
    arithmetic: str = "float32"


@dataclass(frozen=True)
class Index:
    lineage: str = "a1b2"
    generation: int = 7


@dataclass(frozen=True)
class Settings:
    k: int = 5
    mode: str = "hybrid"
    fusion: str | None = "mean"
    dense_weight: float | None = 0.5
    rerank: bool = True
    per_document: int | None = 2
    diversity: float = 0.25
    filter: tuple[str, ...] = ("year>2000",)
    path: tuple[str, ...] = ("*.txt",)
    min_confidence: float = 0.2
    form: str = "short"


@dataclass(frozen=True)
class Made:
    recorded_at: str = "2025-01-01T00:00:00.000+00:00"
    settings: Settings = Settings()
    index: Index | None = None
    models: Models = field(default_factory=Models)


def _answer(text: str = TEXT, name: str = "d.txt") -> Answer:
    """An answer of two words, one of them written by the reader itself."""
    stored = StoredPassage(40, "d", name, "", False, Passage(0, len(text), text, name, line=1))
    seen = tuple(PassageWord(0, *m.span(), m[0]) for m in re.finditer(r"\w+|[^\w\s]", text))
    first = seen[0]
    words = (
        AnswerWord("entries", None, None, None),
        AnswerWord(first.text, 0, first.start, first.end),
    )
    weights = np.full((2, len(seen)), 0.5 / len(seen), dtype=np.float32)
    return Answer(
        Question(text),
        f"entries {first.text}",
        0.91,
        (ScoredPassage(stored, 0.5, 1),),
        Attribution("effect", (0.75,), 0.25, (SentenceShare(0, 0, len(text), text, 0.75),), ()),
        (),
        {},
        {"total": 1.0},
        Verification(
            "verified", 0.5, (0,), Trial(0.0, None, same=False), Trial(0.1, text, same=False),
            Trial(0.4, "entries", same=True),
        ),
        AnswerFocus(words, seen, weights, np.tile(weights, (2, 12, 1, 1))),
        WordShares(weights[0], weights),
    )  # fmt: skip


def _data(page: str) -> Any:  # noqa: ANN401
    return json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])


def _unpacked(packed: str) -> Iterator[int]:
    """Read what was packed, as the page's script does."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    weight, place = 0, 1
    for digit in map(digits.index, packed):
        weight, place = weight + digit % 32 * place, place * 32
        if digit < 32:
            yield weight
            weight, place = 0, 1


@given(st.lists(st.integers(0, 10_000)))
def test_packed_weights_are_what_was_packed(wholes: list[int]) -> None:
    packed = packed_weights(np.array(wholes, dtype=np.float64) / 10_000, 4)
    assert list(_unpacked(packed)) == wholes
    assert len(packed) >= len(wholes)


@settings(max_examples=50)
@given(
    st.one_of(
        st.just(HOSTILE),
        st.text(st.characters(exclude_categories=()), min_size=1).filter(
            lambda text: re.search(r"\w|[^\w\s]", text)
        ),
    )
)
def test_whatever_a_document_holds_it_stays_text(text: str) -> None:
    page = answer_page(_answer(text, text), Made())
    page.encode()
    assert re.findall(r"<script[^>]*>", page) == [
        '<script type="application/json" id="data">',
        "<script>",
    ]
    assert not re.search(r"<(img|iframe|link|object|embed)\b", page)
    assert not re.search(r'(?<!&#34;)\b(on\w+|src|style)="', page.split("<main>")[1])
    assert not re.search(r"[\u2028\u2029\x00]", page)
    assert set(_data(page)) == {"copied", "views"}


def test_the_data_hold_every_head_and_the_whole_answer_before_its_words() -> None:
    answer = _answer()
    n_seen = len(answer.focus.seen) if answer.focus else 0
    data = _data(answer_page(answer, Made()))
    assert data["copied"] == [[], [0]]
    attention = data["views"]["attention"]
    assert [len(row) for row in attention] == [13] * 3
    for view in (data["views"]["owed"], data["views"]["copy"], attention[0][0], attention[2][12]):
        assert [list(_unpacked(row)) for row in view["rows"]] == [
            [round(5000 / n_seen)] * n_seen
        ] * 3
        assert view["outside"] == [5000] * 3
        assert view["others"] == [0] * 3


def test_every_word_of_the_answer_can_be_chosen_and_no_space_is_lost() -> None:
    answer = replace(_answer(), text="entries, so: It.")
    page = answer_page(answer, Made())
    chosen = re.findall(r'<span role="radio" tabindex="-1"[^>]*>([^<]*)</span>', page)
    assert chosen == ["entries", "It"]
    assert ">entries</span>, so: <span" in page
    # Words that the text does not hold stand one after the other.
    other = answer_page(replace(answer, text="something else"), Made())
    assert ">entries</span> <span" in other


def test_what_shaped_the_search_is_told() -> None:
    page = answer_page(_answer(), Made(index=Index(), models=Models(Model())))
    told = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert told == {
        "Asked": "2025-01-01T00:00:00.000+00:00",
        "Form": "short",
        "Attribution": "effect",
        "Least confidence": "0.2",
        "Passages to read": "5 at most",
        "Search": "hybrid, reranked by tokens",
        "Fusion": "mean, weight of meaning 0.5",
        "Passages of one document": "2 at most",
        "Diversity": "0.25",
        "Filter": "year&gt;2000",
        "Path": "*.txt",
        "Index": "<code>a1b2</code>, state 7",
        "Encoder": "a model<br><code>f00d</code>",
        "Reader": "a reader, encoder in float32<br><code>beef</code>",
        "Calibration": "<code>cafe</code>",
    }
    assert "none: the text was given" in answer_page(_answer(), Made())


@pytest.mark.parametrize(
    ("confidence", "with_passages", "why"),
    [
        (0.123, True, "is 0.12, and answers are given from 0.20."),
        (0.9, True, "The reader found no words for an answer in the passages."),
        (0.0, False, "There was no passage to read."),
    ],
)
def test_an_abstention_says_why(confidence: float, with_passages: bool, why: str) -> None:
    abstained = replace(
        _answer(), text=None, confidence=confidence, focus=None, word_shares=None,
        verification=None,
    )  # fmt: skip
    if not with_passages:
        abstained = replace(
            abstained, passages=(), attribution=Attribution("effect", (), 1.0, (), ())
        )
    page = answer_page(abstained, Made())
    assert why in page
    assert _data(page) is None
    assert "the whole answer" not in page
    assert ("No passages" in page) == (not with_passages)
