from __future__ import annotations

import io
import json

from ragcli.records import Passage, ScoredPassage, StoredPassage
from ragcli.render.machine import JsonWriter, PathWriter, hit_json, json_line

KEYS = [
    "schema", "query", "rank", "score", "path", "passage_id", "document_id", "start", "end",
    "line", "page", "heading", "text", "metadata",
]  # fmt: skip


def _hit(
    path: str = "docs/größe.md", text: str = "Größe: 3 m", score: float = 0.123456789
) -> ScoredPassage:
    passage = Passage(start=4, end=4 + len(text), text=text, heading="Maße", line=2)
    stored = StoredPassage(7, "d1", path, "", False, passage, metadata={"b": 1, "a": [True, None]})
    return ScoredPassage(stored, score, 1)


def test_the_keys_stand_in_their_order() -> None:
    record = json.loads(hit_json("wie groß?", _hit()))
    assert list(record) == KEYS
    assert record["schema"] == 1
    assert record["score"] == 0.123457
    assert record["metadata"] == {"b": 1, "a": [True, None]}
    assert record["page"] is None


def test_a_query_id_follows_its_query() -> None:
    keys = list(json.loads(hit_json("q", _hit(), "q7")))
    assert keys == ["schema", "query", "query_id", *KEYS[2:]]


def test_text_keeps_its_own_spelling() -> None:
    line = hit_json("wie groß?", _hit(text="a\nb\x1b"))
    assert "größe.md" in line
    assert "\n" not in line
    assert "\x1b" not in line


def test_a_lone_surrogate_is_escaped_so_that_the_line_can_be_written() -> None:
    line = json_line({"path": "bad\udcffname ü"})
    line.encode()
    assert json.loads(line)["path"] == "bad\udcffname ü"


def test_a_line_for_each_hit() -> None:
    stream = io.StringIO()
    JsonWriter(stream).write("q", None, [_hit("a.md"), _hit("b.md")], [None, None])
    assert [json.loads(line)["path"] for line in stream.getvalue().splitlines()] == ["a.md", "b.md"]


def test_each_path_is_written_once_across_queries() -> None:
    stream = io.StringIO()
    writer = PathWriter(stream, end="\0", exact=True)
    writer.write("q", None, [_hit("b"), _hit("a"), _hit("b")], [None] * 3)
    writer.write("r", None, [_hit("a"), _hit("c\nd")], [None] * 2)
    assert stream.getvalue() == "b\0a\0c\nd\0"


def test_a_terminal_gets_no_control_characters_in_paths() -> None:
    stream = io.StringIO()
    PathWriter(stream, end="\n", exact=False).write("q", None, [_hit("c\x1b[2Jd")], [None])
    assert stream.getvalue() == "c␛[2Jd\n"
