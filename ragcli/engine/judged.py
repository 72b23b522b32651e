"""Files of judged queries: our own JSON lines, BEIR's and TREC's queries and qrels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ragcli.engine.batches import Row, open_text, parse_row
from ragcli.errors import InputError
from ragcli.evaluation.ranking import Qrels

_HEADER = {"query-id", "query_id", "qid", "topic"}


@dataclass(frozen=True, slots=True)
class JudgedQueries:
    """Queries by id in the order of their file, and the judgements of them.

    ``n_blank`` lines had no text yet.
    """

    texts: Mapping[str, str]
    qrels: Qrels
    n_blank: int = 0


def read_judged(queries: Path, qrels: Path | None) -> JudgedQueries:
    """Read queries with their judgements: those of ``qrels``, else those beside the queries.

    Raises ``InputError`` for a file that cannot be meant, and when nothing is judged.
    """
    read = read_judged_queries(queries)
    if qrels is not None:
        return replace(read, qrels=read_qrels(qrels))
    if read.texts and not read.qrels:
        raise InputError(
            f"{queries}: no line says which documents are relevant",
            'name judgements with --qrels, or write them into the lines: "relevant": ["a.md"]',
        )
    return read


def read_judged_queries(file: Path) -> JudgedQueries:
    """Read queries, and the judgements that stand beside them, if any.

    A line is ``{"_id" or "id", "text" or "question"}``, with the ids of documents under
    ``"relevant"`` or without, or an id, a tab and the text. Lines whose text is still blank are
    only counted. Raises ``InputError`` for any other line.
    """
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    blank: set[str] = set()
    for row in _rows(file):
        name, tab, text = (row.row_id, "\t", row.text) if row.fields else row.text.partition("\t")
        name = name.strip()
        if not tab or not name:
            raise InputError(f"{file}: {row.text!r} has no id", "a line is an id, a tab, the text")
        if name in queries or name in blank:
            raise InputError(f"{file}: the query {name!r} stands there twice")
        if not text.strip():
            blank.add(name)
            continue
        queries[name] = text
        if relevant := _relevant(row, file):
            qrels[name] = dict.fromkeys(relevant, 1)
    if not queries and not blank:
        raise InputError(f"{file}: there are no queries")
    if not queries:
        raise InputError(
            f"{file}: every question is still blank ({len(blank)} in all)",
            'write the text of some between the quotes of "question": ""',
        )
    return JudgedQueries(queries, qrels, len(blank))


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question with its accepted answers; none means that the documents do not answer it.

    ``relevant`` are the documents said to answer it, if any are named.
    """

    question_id: str
    text: str
    answers: tuple[str, ...]
    relevant: frozenset[str] = frozenset()


def read_answered(file: Path, qrels: Path | None = None) -> list[AnsweredQuestion]:
    """Read questions with their answers: ``{"id" or "_id", "question" or "text", "answers"}``.

    Relevant documents are those of ``qrels``, else those beside the question under ``"relevant"``.
    Raises ``InputError`` for a line that is not of this kind, and when there is none.
    """
    judged = {} if qrels is None else read_qrels(qrels)
    found: dict[str, AnsweredQuestion] = {}
    for row in _rows(file):
        answers = row.fields.get("answers")
        if not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
            raise InputError(
                f"{file}: the question {row.row_id!r} has no list of answers",
                'a line is {"id", "question", "answers": [...]}; none in the list means that the '
                "documents do not answer it",
            )
        if row.row_id in found:
            raise InputError(f"{file}: the question {row.row_id!r} stands there twice")
        if not row.text.strip():
            continue
        grades = judged.get(row.row_id, {})
        relevant = {name for name, grade in grades.items() if grade > 0} or _relevant(row, file)
        found[row.row_id] = AnsweredQuestion(
            row.row_id, row.text, tuple(map(str, answers)), frozenset(relevant)
        )
    if not found:
        raise InputError(f"{file}: there are no questions")
    return list(found.values())


def _rows(file: Path) -> Iterator[Row]:
    with open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            content = line.strip("\r\n ")
            if not content.strip():
                continue
            try:
                yield parse_row(content, number, ("text", "question"))
            except InputError as error:
                raise InputError(f"{file}:{number}: {error.message}") from error


def _relevant(row: Row, file: Path) -> list[str]:
    given = row.fields.get("relevant", [])
    names = [name for name in given if isinstance(name, str)] if isinstance(given, list) else None
    if names is None or len(names) != len(given):  # type: ignore[arg-type]
        raise InputError(
            f'{file}: "relevant" of the query {row.row_id!r} is no list of document ids',
            'write "relevant": ["a.md"]',
        )
    return names


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
