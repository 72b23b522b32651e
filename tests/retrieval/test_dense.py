from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.records import Passage
from ragcli.retrieval.dense import PREFIX_LIMIT, search_dense, text_to_encode
from ragcli.store import Index

if TYPE_CHECKING:
    from conftest import WordEncoder


def test_the_best_come_first_and_equals_stand_by_passage_id(
    index: Index, encoder: WordEncoder
) -> None:
    (hits,) = search_dense(index, encoder, ["red apple"], 3)
    assert [hit.stored.path for hit in hits] == ["0.txt", "3.txt", "1.txt"]
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == pytest.approx([1.0, 1.0, 0.5])


def test_more_than_there_is_gives_all_there_is(index: Index, encoder: WordEncoder) -> None:
    (hits,) = search_dense(index, encoder, ["sea"], 50)
    assert sorted(hit.stored.path for hit in hits) == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert hits[0].stored.path == "2.txt"


def test_scores_below_the_least_are_left_out(index: Index, encoder: WordEncoder) -> None:
    hits, none = search_dense(index, encoder, ["red apple", "unknown"], 4, min_score=0.6)
    assert [hit.stored.path for hit in hits] == ["0.txt", "3.txt"]
    assert none == []


def test_every_query_has_its_own_hits_in_order(index: Index, encoder: WordEncoder) -> None:
    found = search_dense(index, encoder, ["blue", "green"], 1)
    assert [[hit.stored.path for hit in hits] for hits in found] == [["2.txt"], ["1.txt"]]
    assert search_dense(index, encoder, [], 1) == []


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
