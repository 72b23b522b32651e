"""Results for programs: JSON lines with keys in a fixed order and rounded floats, or paths."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ragcli.records import Highlight, ScoredPassage
from ragcli.render.neutral import printable

SCHEMA = 1
"""Version of the objects' keys and their meaning; a change that breaks a reader raises it."""

SCORE_DIGITS = 6


def json_line(fields: Mapping[str, Any]) -> str:
    """Return one line of JSON, in the characters' own spelling, that opens with ``schema``.

    A lone surrogate, which no UTF-8 stream can carry, makes its line fall back to escapes.
    """
    record = {"schema": SCHEMA, **fields}
    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    return line if is_unicode(line) else json.dumps(record, allow_nan=False)


def is_unicode(text: str) -> bool:
    """Whether a UTF-8 stream can carry it: a lone surrogate it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def hit_json(
    query: str,
    hit: ScoredPassage,
    query_id: str | None = None,
    highlight: Highlight | None = None,
    *,
    explain: bool = False,
) -> str:
    """Return the line of one hit; ``query_id`` stands in it only for a query of a batch.

    ``explain`` adds the scores and ranks that the hit's score was computed from. The characters
    of a ``highlight`` are counted in the document, as the passage's are.
    """
    stored, passage = hit.stored, hit.stored.passage
    identity = {} if query_id is None else {"query_id": query_id}
    parts = {
        part.stage.replace(" ", "_"): {"score": round(part.score, SCORE_DIGITS), "rank": part.rank}
        for part in hit.parts
    }
    return json_line(
        {
            "query": query,
            **identity,
            "rank": hit.rank,
            "score": rounded_score(hit),
            "path": stored.path,
            "passage_id": stored.passage_id,
            "document_id": stored.document_id,
            "start": passage.start,
            "end": passage.end,
            "line": passage.line,
            "page": passage.page,
            "heading": passage.heading,
            "text": passage.text,
            "metadata": dict(stored.metadata),
            **({} if highlight is None else {"highlight": _marks(highlight, passage.start)}),
            **({"explain": parts} if explain else {}),
        }
    )


def _marks(highlight: Highlight, start: int) -> dict[str, Any]:
    sentence, *words = (
        [start + first, start + end] for first, end in (highlight.sentence, *highlight.words)
    )
    return {"sentence": sentence, "words": words}


def rounded_score(hit: ScoredPassage) -> float | None:
    """Return the score as it is printed; a passage that was given has none."""
    return None if hit.score is None else round(float(hit.score), SCORE_DIGITS)


class JsonWriter:
    """Writes results as JSON lines, a line for each hit."""

    def __init__(self, stream: TextIO, *, explain: bool = False) -> None:
        self._stream = stream
        self._explain = explain

    def write(
        self,
        query: str,
        query_id: str | None,
        hits: Sequence[ScoredPassage],
        highlights: Sequence[Highlight | None],
    ) -> None:
        """Write the hits of one query."""
        self._stream.writelines(
            f"{hit_json(query, hit, query_id, mark, explain=self._explain)}\n"
            for hit, mark in zip(hits, highlights, strict=True)
        )


class TrecWriter:
    """Writes a run as trec_eval and ir_measures read it: ``query Q0 document rank score tag``.

    A record goes by its id, a file by its path; blanks in names, which the format cannot carry,
    are written as ``%20``. A document stands once for each query. Scores fall from line to line,
    by a millionth where they do not of themselves, because trec_eval sorts by them.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(
        self,
        query: str,
        query_id: str | None,
        hits: Sequence[ScoredPassage],
        highlights: Sequence[Highlight | None],
    ) -> None:
        """Write the documents of one query's hits."""
        seen: set[str] = set()
        above = math.inf
        for hit in hits:
            stored = hit.stored
            name = _without_blanks(stored.document_id if stored.is_record else stored.path)
            if name in seen:
                continue
            seen.add(name)
            above = min(hit.score or 0.0, above - 10.0**-SCORE_DIGITS)
            query_name = _without_blanks(query_id or "1")
            score = f"{above:.{SCORE_DIGITS}f}"
            self._stream.write(f"{query_name} Q0 {name} {len(seen)} {score} ragcli\n")


def _without_blanks(name: str) -> str:
    escaped = re.sub(r"\s", "%20", name)
    return escaped.encode("utf-8", "replace").decode("utf-8")


class PathWriter:
    """Writes the path of each document once, in the order in which they are found.

    ``end`` follows each path. ``exact`` leaves the path as it is, for programs; a terminal gets
    it without control characters.
    """

    def __init__(self, stream: TextIO, *, end: str, exact: bool) -> None:
        self._stream = stream
        self._end = end
        self._exact = exact
        self._seen: set[str] = set()

    def write(
        self,
        query: str,
        query_id: str | None,
        hits: Sequence[ScoredPassage],
        highlights: Sequence[Highlight | None],
    ) -> None:
        """Write the paths of one query's hits that were not written before."""
        for hit in hits:
            path = hit.stored.path
            if path not in self._seen:
                self._seen.add(path)
                self._stream.write((path if self._exact else printable(path)) + self._end)
