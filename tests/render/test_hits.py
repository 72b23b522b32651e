from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ragcli.records import Highlight, Passage, ScoredPassage, StoredPassage
from ragcli.render.hits import HitWriter
from ragcli.render.place import place

TEXT = "# Leave\n\nEvery employee has 25 days. Unused days lapse in March.\n"
BEST = (TEXT.index("Unused"), TEXT.index("\n", 12))


def _hit(text: str = TEXT, *, line: int | None = 3, page: int | None = None) -> ScoredPassage:
    passage = Passage(0, len(text), text, heading="Handbook > Leave", line=line, page=page)
    return ScoredPassage(StoredPassage(1, "d", "docs/leave.md", "", False, passage), 0.71234, 1)


def _written(
    hit: ScoredPassage, highlight: Highlight | None, width: int = 40, **options: bool
) -> str:
    stream = io.StringIO()
    colour = options.get("colour", False)
    console = Console(
        file=stream,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        markup=False,
        emoji=False,
        highlight=False,
    )
    HitWriter(console, with_query=False).write("q", None, [hit], [highlight])
    return stream.getvalue()


def test_a_person_sees_place_heading_and_the_best_sentence_marked() -> None:
    assert _written(_hit(), Highlight(BEST)) == (
        "1  0.712  docs/leave.md:3\n"
        "   Handbook > Leave\n"
        "   # Leave\n"
        "\n"
        " > Every employee has 25 days. Unused\n"
        " > days lapse in March.\n"
    )


def test_plain_text_holds_no_escape_and_colour_styles_the_sentence_only() -> None:
    assert "\x1b" not in _written(_hit(), Highlight(BEST), 100)
    assert "25 days. \x1b[1;33mUnused days lapse in March.\x1b[0m" in _written(
        _hit(), Highlight(BEST), 100, colour=True
    )


def test_words_that_matched_are_underlined() -> None:
    text = _hit().stored.passage.text
    lapse, march = ((text.index(word), text.index(word) + 5) for word in ("lapse", "March"))
    shown = _written(_hit(), Highlight(BEST, (lapse, march)), 100, colour=True)
    assert "\x1b[1;33mUnused days \x1b[0m\x1b[1;4;33mlapse\x1b[0m\x1b[1;33m in " in shown
    assert "\x1b[1;4;33mMarch\x1b[0m" in shown


def test_a_document_cannot_steer_the_terminal() -> None:
    hit = _hit("[bold]\x1b]0;title\x07 :smile:\r\n\x1b[2Jgone")
    shown = _written(hit, None, 100)
    assert "\x1b" not in shown
    assert "[bold]␛]0;title␇ :smile:\n" in shown


def test_a_highlight_after_tabs_and_controls_stays_on_its_words() -> None:
    text = "\x07\tcode\x08\x0c here. Best one. Rest."
    start = text.index("Best")
    shown = _written(_hit(text), Highlight((start, start + 9)), 100, colour=True)
    assert "\x1b[1;33mBest one.\x1b[0m" in shown


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=300), st.integers(24, 100))
def test_every_line_fits_the_width(text: str, width: int) -> None:
    for line in _written(_hit(text), Highlight((0, len(text))), width).split("\n"):
        assert cell_len(line) <= width


def test_the_query_of_a_batch_stands_above_its_hits() -> None:
    stream = io.StringIO()
    writer = HitWriter(Console(file=stream, width=80), with_query=True)
    writer.write("first\x1b", "1", [_hit("a")], [None])
    writer.write("second", "2", [], [])
    blocks = stream.getvalue().split("\n\n")
    assert blocks[0] == "first␛"
    assert blocks[1].startswith("1  0.712")
    assert blocks[2] == "second\n"


@pytest.mark.parametrize(
    ("line", "page", "expected"),
    [(3, None, "docs/leave.md:3"), (None, 2, "docs/leave.md p. 2"), (None, None, "docs/leave.md")],
)
def test_place(line: int | None, page: int | None, expected: str) -> None:
    assert place(_hit(line=line, page=page).stored) == expected


def test_the_place_of_a_sentence_counts_lines_and_pages() -> None:
    stored = _hit(line=3).stored
    assert place(stored, BEST[0]) == "docs/leave.md:5"
    paged = replace(_hit(line=None, page=2).stored, page_breaks=(5,))
    assert (place(paged, 4), place(paged, 5)) == ("docs/leave.md p. 2", "docs/leave.md p. 3")
