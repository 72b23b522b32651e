from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.records import (
    AnswerFocus,
    AnswerWord,
    Passage,
    PassageWord,
    ScoredPassage,
    StoredPassage,
)
from ragcli.render.focus import (
    COPIED,
    LOOKED_AT_SHOWN,
    LOOKED_AT_TOLD,
    focus_fields,
    focus_lines,
)

TEXTS = ("It holds 30,522 entries.", "Others hold 50,257.")


def _passages(*texts: str) -> tuple[ScoredPassage, ...]:
    """Passages of ids 40, 41, ..., each 100 characters into its document."""
    return tuple(
        ScoredPassage(
            StoredPassage(40 + n, "d", "d.txt", "", False, Passage(100, 100 + len(text), text)),
            None,
            n + 1,
        )
        for n, text in enumerate(texts)
    )


def _seen(*texts: str) -> tuple[PassageWord, ...]:
    return tuple(
        PassageWord(context, *match.span(), match[0])
        for context, text in enumerate(texts)
        for match in re.finditer(r"\w+|[^\w\s]", text)
    )


def _copied(text: str) -> AnswerWord:
    start = TEXTS[0].index(text)
    return AnswerWord(text, 0, start, start + len(text))


def _focus(words: tuple[AnswerWord, ...], *rows: dict[int, float]) -> AnswerFocus:
    """Every head looks at the numbered words with these weights."""
    seen = _seen(*TEXTS)
    weights = np.zeros((len(words), len(seen)), dtype=np.float32)
    for n, row in enumerate(rows):
        weights[n, list(row)] = list(row.values())
    return AnswerFocus(words, seen, weights, np.tile(weights, (2, 12, 1, 1)))


def _lines(focus: AnswerFocus, width: int = 80) -> list[str]:
    return [line.plain for line in focus_lines(focus, _passages(*TEXTS), width)]


TWO = _focus(
    (_copied("entries"), AnswerWord("more", None, None, None)),
    {5: 0.4, 7: 0.2, 1: 0.1, 9: 0.06, 2: 0.03, 4: 0.01},
    {7: 0.3, 8: 0.004},
)


def test_the_heaviest_words_stand_by_passage_each_with_its_weight() -> None:
    assert [word.text for word in TWO.seen][5] == "entries"
    assert _lines(TWO) == [
        "What each word of the answer looked at most, by [passage]:",
        "  entries  [1] entries 40%  holds 10%  30 3%  [2] Others 20%  50 6%",
        "  more     [2] Others 30%",
        "  cross-attention, mean of 2 layers × 12 heads",
        "  45% of it lay on the question and special tokens",
    ]


def test_a_line_that_is_full_goes_on_under_its_first_word() -> None:
    assert _lines(TWO, 36)[1:4] == [
        "  entries  [1] entries 40%",
        "           holds 10%  30 3%",
        "           [2] Others 20%  50 6%",
    ]


def test_the_word_that_was_copied_is_in_colour() -> None:
    line = list(focus_lines(TWO, _passages(*TEXTS), 80))[1]
    marked = [line.plain[span.start : span.end] for span in line.spans if span.style == COPIED]
    assert marked == ["entries"]


def test_words_without_a_space_between_them_stand_together_with_their_mean() -> None:
    words = (_copied("30"), _copied(","), _copied("522"), _copied("entries"))
    focus = _focus(words, {2: 0.9}, {2: 0.3}, {4: 0.6}, {5: 1.0})
    assert _lines(focus)[1:3] == [
        "  30,522   [1] 30 40%  522 20%",
        "  entries  [1] entries 100%",
    ]


def test_one_head_is_named() -> None:
    focus = replace(TWO, layer=2, head=3)
    assert "  cross-attention, layer 2, head 3" in _lines(focus)


def test_a_sentence_is_shown_to_its_last_word() -> None:
    words = tuple(AnswerWord(f"w{n}", None, None, None) for n in range(64))
    lines = _lines(_focus(words, *[{0: 0.5}] * len(words)))
    assert lines[1:-2] == [f"  w{n:<2}  [1] It 50%" for n in range(64)]


def test_json_counts_in_the_document_and_accounts_for_all_weight() -> None:
    fields = focus_fields(TWO, _passages(*TEXTS))
    assert (fields["layer"], fields["head"]) == (None, None)
    entries, more = fields["words"]
    assert {key: entries[key] for key in ("text", "passage_id", "start", "end")} == {
        "text": "entries",
        "passage_id": 40,
        "start": 116,
        "end": 123,
    }
    assert [more[key] for key in ("text", "passage_id", "start")] == ["more", None, None]
    assert entries["looked_at"][1] == {
        "passage_id": 41,
        "start": 100,
        "end": 106,
        "text": "Others",
        "weight": 0.2,
    }
    assert (entries["other_words"], entries["outside"]) == (0.0, 0.2)


@given(seed=st.integers(0, 1000), n_words=st.integers(1, 20), width=st.integers(40, 120))
def test_no_line_is_too_wide_and_no_weight_is_lost(seed: int, n_words: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    text = " ".join("x" * rng.integers(1, 60) for _ in range(30))
    weights = rng.random((2, 12, n_words, 30)).astype(np.float32)
    weights /= 1.5 * weights.sum(axis=-1, keepdims=True)
    places = [PassageWord(0, *m.span(), m[0]) for m in re.finditer(r"\w+", text)]
    words = [AnswerWord(p.text, 0, p.start, p.end) for p in places[:n_words]]
    focus = AnswerFocus(tuple(words), tuple(places), weights.mean(axis=(0, 1)), weights)
    lines = [line.plain for line in focus_lines(focus, _passages(text), width)][1:-2]
    assert all(len(line) <= width for line in lines)
    shown = sum(len(re.findall(r"\d+%|…", line)) for line in lines)
    assert n_words <= shown <= 2 * LOOKED_AT_SHOWN * n_words
    for word in focus_fields(focus, _passages(text))["words"]:
        told = [place["weight"] for place in word["looked_at"]]
        assert len(told) == LOOKED_AT_TOLD
        assert sum(told) + word["other_words"] + word["outside"] == pytest.approx(1, abs=2e-3)
