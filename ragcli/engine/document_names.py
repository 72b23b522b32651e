"""What judgements call the documents of an index: records by their ids, files by their paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.engine.paths import StoredPaths
from ragcli.errors import InputError
from ragcli.evaluation.ranking import Qrels

if TYPE_CHECKING:
    from ragcli.store import Index

REMEDY = (
    "a file is judged by its path from the current folder: stand where the judgements were "
    "written;\na record is judged by its id"
)


def document_names(index: Index, named_from: Path | None) -> dict[int, str]:
    """Passage id -> name of its document; a path is meant from ``named_from``, else from here."""
    paths = StoredPaths(index.folder.resolve(), (named_from or Path.cwd()).resolve())
    shown = lru_cache(maxsize=None)(paths.shown)
    return {
        passage_id: document_id if is_record else shown(path)
        for passage_id, document_id, path, is_record in index.passage_documents()
    }


def judged_queries(queries: Mapping[str, str], qrels: Qrels) -> dict[str, str]:
    """Those of the queries that are judged; raises ``InputError`` when none is."""
    judged = {name: text for name, text in queries.items() if name in qrels}
    if not judged:
        raise InputError("no query of the queries file stands in the qrels")
    return judged


def strangers(qrels: Qrels, names: Iterable[str]) -> tuple[str, ...]:
    """Relevant documents that are not among ``names``, those of an index, in order.

    Raises ``InputError`` when nothing is relevant or none of it is there: nothing could be found.
    """
    known = set(names)
    relevant = dict.fromkeys(
        name for grades in qrels.values() for name, grade in grades.items() if grade > 0
    )
    if not relevant:
        raise InputError("no document is judged relevant", "relevant ones have a grade from 1 up")
    missing = tuple(name for name in relevant if name not in known)
    if len(missing) == len(relevant):
        raise InputError(
            f"the index has none of the judged documents, such as {missing[0]!r}", REMEDY
        )
    return missing
