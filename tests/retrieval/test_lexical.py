"""What a query means as words."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.records import Document, Passage
from ragcli.retrieval.lexical import match_expression, score_lexical
from ragcli.store import Index, IndexFingerprint, SourceState

if TYPE_CHECKING:
    from conftest import WordEncoder

FINGERPRINT = IndexFingerprint("words", "1", 64, "", "", 200, 1)


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        ("How do the kettles work?", '"kettles" OR "work"'),
        ("to be or not to be", '"to" OR "be" OR "or" OR "not"'),
        ("otters*", '"otters"* OR "ottering" OR "otteing" OR "otting"'),
        ("Tea tea TEA", '"tea"'),
        ("e\u0301cole", '"\u00e9cole"'),
        ('"annual leave"', '"annual leave"'),
        ('"annual leave" days', '"annual leave" AND ("annual leave" OR "days")'),
        ('"a b" "c"', '"a b" AND "c"'),
        ("NEAR(a, b) OR -x", '"near" OR "b" OR "x"'),
        ('an "open quote', '"open" OR "quote"'),
        ("?!", None),
        ("", None),
        ('""', None),
    ],
)
def test_a_query_as_an_expression(query: str, expression: str | None) -> None:
    assert match_expression(query) == expression


@given(st.text())
def test_no_query_is_a_syntax_error(query: str) -> None:
    expression = match_expression(query)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    if expression is not None:
        connection.execute("SELECT * FROM words WHERE words MATCH ?", (expression,)).fetchall()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("universi*", {"university", "universities"}),
        ("generat*", {"generation"}),
        ("configurat*", {"configuration"}),
        ("univers*", {"university", "universities"}),
        ("zebra*", set()),
    ],
)
def test_the_beginning_of_a_word_finds_it_in_spite_of_its_stem(query: str, found: set[str]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'porter unicode61')")
    texts = ["university", "universities", "generation", "configuration", "tea"]
    connection.executemany("INSERT INTO words VALUES (?)", [(text,) for text in texts])
    rows = connection.execute(
        "SELECT text FROM words WHERE words MATCH ?", (match_expression(query),)
    )
    assert {row[0] for row in rows} == found


def test_words_elsewhere_in_its_document_raise_a_passage(
    tmp_path: Path, encoder: WordEncoder
) -> None:
    """Of two like passages that one is better whose document is about the query."""
    texts = {
        "library.txt": ["The library has shelves.", "Open from nine to five."],
        "harbour.txt": ["The harbour has tides.", "Open from nine to five."],
        "garden.txt": ["The garden has roses.", "Closed."],
    }
    with Index.create_or_open(tmp_path, FINGERPRINT) as index:
        for path, parts in texts.items():
            ends = [len(parts[0]), len(parts[0]) + len(parts[1])]
            passages = [
                Passage(end - len(part), end, part) for part, end in zip(parts, ends, strict=True)
            ]
            document = Document(path, path, "".join(parts), "hash")
            index.replace_source(
                SourceState(path, "hash", 1, 0),
                [(document, passages, encoder.encode_passages(parts))],
            )
        index.commit()
        found = score_lexical(index, "harbour open", 9)
        hits = [(p.path, p.passage.text) for p in index.passages([i for i, _ in found])]
        own = dict(index.search_words("harbour OR open", 9))
        whole = index.score_document_words("harbour OR open", list(own))
    assert hits[0] == ("harbour.txt", "The harbour has tides.")
    assert hits[1:] == [
        (path, "Open from nine to five.") for path in ("harbour.txt", "library.txt")
    ]
    assert dict(found) == pytest.approx({i: 0.4 * own[i] + 0.6 * whole[i] for i in own})
