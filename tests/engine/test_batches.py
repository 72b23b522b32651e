from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.corpus.problem import Problem
from ragcli.engine.batches import Row, as_unicode, read_questions, read_rows
from ragcli.records import Question

KEYS = ("text", "question")


def test_plain_lines_and_json_lines_in_one_file() -> None:
    lines = [
        "\ufeffwho pays?\n",
        "\n",
        '{"id": "q7", "text": "when?", "extra": 1}\n',
        '{"_id": 8, "question": "why?"}',
        '{"text": "no id"}',
    ]
    rows = list(read_rows(lines, "q.jsonl", KEYS))
    assert [(row.text, row.row_id) for row in rows if isinstance(row, Row)] == [
        ("who pays?", "1"),
        ("when?", "q7"),
        ("why?", "8"),
        ("no id", "5"),
    ]
    assert isinstance(rows[1], Row)
    assert rows[1].fields["extra"] == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "cut', "JSON"),
        ('{"id": "q1"}', "no text under 'text' or 'question'"),
        ('{"text": ""}', "no text"),
        ('{"text": 3}', "no text"),
        (r'{"text": "\ud800"}', "no text"),
        ('{"text": "t", "id": [1]}', "id"),
        ("bytes \udcff", "UTF-8"),
        ("{" * 100_000, "JSON"),
    ],
)
def test_a_bad_line_is_a_problem_that_names_it_and_the_rest_goes_on(line: str, reason: str) -> None:
    problem, row = read_rows([line, "fine"], "q.jsonl", KEYS)
    assert isinstance(problem, Problem)
    assert problem.path == "q.jsonl:1"
    assert reason in problem.reason
    assert row == Row("fine", "2")


def test_rows_come_as_they_are_read() -> None:
    def lines() -> list[str]:
        raise AssertionError("read too early")

    stream = (line for source in (lambda: ["first"], lines) for line in source())
    assert next(iter(read_rows(stream, "stdin", KEYS))) == Row("first", "1")


@given(st.text(st.characters(exclude_categories=())))
def test_every_line_gives_text_that_can_be_encoded_or_a_named_problem(line: str) -> None:
    for row in read_rows([line], "q", KEYS):
        if isinstance(row, Row):
            assert row.text.encode()
        else:
            assert row.path == "q:1"


def test_as_unicode_replaces_only_what_is_no_character() -> None:
    assert as_unicode("naïve\udcff") == "naïve?"


def test_questions_may_bring_their_own_contexts() -> None:
    lines = [
        "plain?",
        '{"id": "a", "question": "when?", "contexts": ["In May.", "In June."]}',
        '{"id": "b", "question": "who?", "contexts": []}',
        '{"id": "c", "question": "bad?", "contexts": "In May."}',
        '{"id": "d", "question": "bad?", "contexts": [1]}',
    ]
    rows = list(read_questions(lines, "q"))
    assert rows[:3] == [
        Question("plain?", "1"),
        Question("when?", "a", ("In May.", "In June.")),
        Question("who?", "b", ()),
    ]
    assert [row.path for row in rows if isinstance(row, Problem)] == [
        "q: question c",
        "q: question d",
    ]
