from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.records import Passage
from ragcli.retrieval.dense import PREFIX_LIMIT, text_to_encode


@pytest.mark.parametrize(
    ("title", "heading", "text", "expected"),
    [
        ("", "", " body \n", "body"),
        ("Title", "", "body", "Title\nbody"),
        ("Title", "", "Title\n\nbody", "Title\n\nbody"),
        ("", "Intro", "## Intro\nbody", "## Intro\nbody"),
        ("Title", "Guide > Intro", "body", "Title\nGuide > Intro\nbody"),
        ("Guide", "Guide > Intro", "body", "Guide > Intro\nbody"),
        ("Guide", "Guide", "body", "Guide\nbody"),
        ("Guide", "Guide > Intro", "# Guide\nbody", "Guide > Intro\n# Guide\nbody"),
    ],
)
def test_what_the_encoder_reads(title: str, heading: str, text: str, expected: str) -> None:
    assert text_to_encode(title, Passage(0, len(text), text, heading=heading)) == expected


@given(st.text(), st.text(), st.text())
def test_the_encoder_reads_the_whole_passage_and_a_bounded_prefix(
    title: str, heading: str, text: str
) -> None:
    read = text_to_encode(title, Passage(0, len(text), text, heading=heading))
    assert read.endswith(text.strip())
    assert len(read) <= PREFIX_LIMIT + 1 + len(text.strip())
