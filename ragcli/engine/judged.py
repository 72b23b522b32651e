"""Files of judged queries: BEIR's JSON lines and tables, TREC's topics and qrels."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from ragcli.corpus.problem import Problem
from ragcli.engine.batches import open_text, read_rows
from ragcli.errors import InputError
from ragcli.evaluation.ranking import Qrels

_HEADER = {"query-id", "query_id", "qid", "topic"}


def read_judged_queries(file: Path) -> dict[str, str]:
    """Query id -> text, in the order of the file.

    A line is ``{"_id" or "id", "text" or "question"}``, or an id, a tab and the text. Raises
    ``InputError`` for any other line.
    """
    with open_text(file) as lines:
        rows = list(read_rows(lines, str(file), ("text", "question")))
    queries: dict[str, str] = {}
    for row in rows:
        if isinstance(row, Problem):
            raise InputError(f"{row.path}: {row.reason}")
        name, tab, text = (row.row_id, "\t", row.text) if row.fields else row.text.partition("\t")
        name = name.strip()
        if not tab or not name:
            raise InputError(f"{file}: {row.text!r} has no id", "a line is an id, a tab, the text")
        if name in queries:
            raise InputError(f"{file}: the query {name!r} stands there twice")
        queries[name] = text
    if not queries:
        raise InputError(f"{file}: there are no queries")
    return queries


def read_qrels(file: Path) -> Qrels:
    """Judgements by query: ``query-id corpus-id score`` as in BEIR, or with TREC's second column.

    Columns are set apart by tabs or spaces; a header is skipped. Raises ``InputError`` for a line
    that is neither.
    """
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    with open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            columns = line.split("\t") if line.count("\t") >= 2 else line.split()
            if not columns or (number == 1 and columns[0].strip().lower() in _HEADER):
                continue
            try:
                query, *_, document, grade = (column.strip() for column in columns)
                judged[query][document] = int(grade)
            except ValueError:
                raise InputError(
                    f"{file}:{number}: is no judgement",
                    'a line is "query-id document-id grade" or TREC\'s "query 0 document grade"',
                ) from None
    if not judged:
        raise InputError(f"{file}: there are no judgements")
    return dict(judged)
