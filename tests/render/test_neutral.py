from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.render.neutral import printable, printable_block

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def _steers(character: str) -> bool:
    """Whether a character can move a cursor, colour a terminal or reorder what is read."""
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(
        character
    ) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(ANY_TEXT)
def test_nothing_that_steers_a_terminal_is_left_and_offsets_stay(text: str) -> None:
    shown = printable(text)
    assert not any(map(_steers, shown))
    assert len(shown) == len(text)


@given(ANY_TEXT)
def test_a_block_keeps_only_line_breaks_and_tabs(text: str) -> None:
    shown = printable_block(text)
    assert {character for character in shown if _steers(character)} <= {"\n", "\t"}
    assert [n for n, c in enumerate(shown) if c == "\n"] == [
        n for n, c in enumerate(text) if c == "\n"
    ]
    assert len(shown) == len(text)


@given(ANY_TEXT)
def test_neutral_text_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize("text", ["Straße", "日本語", "naïve – “quoted”", "a b\u00a0c", "👩‍🔬"])
def test_ordinary_text_is_untouched(text: str) -> None:
    assert printable(text) == text
    assert printable_block(text) == text


def test_an_escape_sequence_is_shown_not_obeyed() -> None:
    assert printable("a\x1b[31mred\x07\x9b2J\r") == "a␛[31mred␇\ufffd2J␍"
