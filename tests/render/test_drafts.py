from __future__ import annotations

import json
from dataclasses import dataclass

from ragcli.records import Passage, StoredPassage
from ragcli.render.drafts import draft_line


@dataclass(frozen=True)
class Draft:
    passage: StoredPassage
    relevant: str
    question_id: str = "q1"


def _draft(path: str, text: str, **place: int) -> Draft:
    passage = Passage(0, len(text), text, **place)
    return Draft(StoredPassage(1, path, path, "A title", False, passage), path)


def test_a_draft_is_one_line_with_nothing_filled_in() -> None:
    line = draft_line(_draft("a.md", "Grüße\n\n  an\talle\u2028hier.", line=3))
    assert json.loads(line) == {
        "id": "q1",
        "question": "",
        "relevant": ["a.md"],
        "about": "a.md:3",
        "hint": "A title",
        "passage": "Grüße an alle hier.",
    }
    assert line.splitlines() == [line]
    assert "Grüße" in line


def test_pages_are_named_and_formats_without_either_too() -> None:
    assert json.loads(draft_line(_draft("a.pdf", "x", page=2)))["about"] == "a.pdf p. 2"
    assert json.loads(draft_line(_draft("a.html", "x")))["about"] == "a.html"


def test_a_document_cannot_steer_an_editor_and_its_name_stays_exact() -> None:
    name = "odd\udcff\x1b.md"
    line = draft_line(_draft(name, "red \x1b[2J \u202etea"))
    assert line.isascii()
    row = json.loads(line)
    assert row["relevant"] == [name]
    assert row["about"] == "odd\ufffd␛.md"
    assert row["passage"] == "red ␛[2J \ufffdtea"
