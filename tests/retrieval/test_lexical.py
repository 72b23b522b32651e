"""What a query means as words."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.retrieval.lexical import match_expression


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
