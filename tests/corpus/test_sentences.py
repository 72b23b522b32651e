import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.corpus.sentences import heading_spans, sentence_spans

PIECES = ["Dr.", "the", "A", "ends.", "Why?!", "U.S.", "3.14", "…", "| c |", "- item", "# Head"]
GAPS = [" ", "\n", "\n\n", "", "\r\n", "\t"]


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


structured = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(GAPS))).map(
    lambda pairs: "".join(piece + gap for piece, gap in pairs)
)


@given(text=structured | st.text())
def test_spans_are_sorted_apart_trimmed_and_hold_every_word(text: str) -> None:
    spans = sentence_spans(text)
    previous_end = 0
    for start, end in spans:
        assert previous_end <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        previous_end = end
    covered = {offset for start, end in spans for offset in range(start, end)}
    assert all(n in covered for n, character in enumerate(text) if character.isalnum())


@given(text=structured)
def test_no_span_crosses_a_blank_line(text: str) -> None:
    assert not any("\n\n" in sentence for sentence in sentences(text))


@pytest.mark.parametrize(
    "expected",
    [
        ["Dr. Smith lives in the U.S. and works.", "He is well."],
        ["He lives in the U.S.", "The others do not."],
        ["See Fig. 3 and No. 5.", "It costs 3.14 dollars!", "Really?", "Yes."],
        ["J. A. Smith et al. (2017) agree, e.g. here.", "Others, i.e. most, do not."],
        ['He said "Stop!" and left.', '"Go."', "She went (quickly.)", "Then he did."],
        ["The meeting on Jan. 5 at 3 p.m. was short.", "It ended in 2024.", "Nobody came."],
        ["We chose plan B.", "It failed...", "So did Acme Inc. in Bonn."],
    ],
)
def test_full_stops_that_end_and_that_do_not(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


def test_east_asian_sentences_need_no_spaces() -> None:
    assert sentences("这是。那是！好吗？") == ["这是。", "那是！", "好吗？"]


def test_wrapped_lines_are_one_sentence() -> None:
    text = "A sentence that is wrapped\nover two lines ends here. Next."
    assert sentences(text) == ["A sentence that is wrapped\nover two lines ends here.", "Next."]


def test_headings_list_items_and_rows_stand_alone() -> None:
    text = (
        "# Title\nFirst line\nsecond line. Third.\n- item one\n- item two\n\n"
        "1. Step one. More.\n2. Step two\n\n| a | b |\n|---|---|\n| c | d |\n\nSetext\n======\n"
    )
    assert sentences(text) == [
        "# Title",
        "First line\nsecond line.",
        "Third.",
        "- item one",
        "- item two",
        "1. Step one.",
        "More.",
        "2. Step two",
        "| a | b |",
        "| c | d |",
        "Setext",
    ]


def test_a_short_line_without_punctuation_is_a_title() -> None:
    text = "REFUNDS\nCustomers may return goods within thirty days.\nExceptions\nSale items stay."
    assert sentences(text) == [
        "REFUNDS",
        "Customers may return goods within thirty days.",
        "Exceptions",
        "Sale items stay.",
    ]


@pytest.mark.parametrize("unit", [".", "。", "! ", '.")', " ", "\n", "a.b", "====\n", "- "])
def test_monotonous_text_takes_linear_time(unit: str) -> None:
    start = time.process_time()
    sentence_spans(unit * 100_000)
    assert time.process_time() - start < 10  # quadratic time would be minutes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Leave\n\nAll have leave.", ["# Leave"]),
        ("Leave\n\nAll have leave.", ["Leave"]),
        ("2. Meals\nMeals are paid.", ["2. Meals"]),
        ("THE SCORE\n=========\n\nIt was proposed in 1950.", ["THE SCORE"]),
        ("# One\n\n## Two\n\nText ends.", ["# One", "## Two"]),
        ("All have leave.\n\nAll are paid.", []),
        ("- salt\n- pepper\n\nBoth are white.", []),
        ("salt | 3\npepper | 4\n\nBoth are white.", []),
        ("Mon to Fri 9 to 17", []),
        ("Kendal\n\nGothenburg", []),
        ("He wrote a\nlong letter. It came.", []),
        ("", []),
    ],
)
def test_headings_are_told_from_sentences(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in heading_spans(text)] == expected


@given(text=structured | st.text())
def test_headings_are_among_the_spans(text: str) -> None:
    assert set(heading_spans(text)) <= set(sentence_spans(text))
