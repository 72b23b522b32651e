"""The use case ``eval retrieval``: judged queries → how good each way of ranking is."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ragcli.engine.batches import open_text
from ragcli.engine.document_names import document_names, judged_queries, strangers
from ragcli.engine.encoders import models_of
from ragcli.engine.indexing import index_paths
from ragcli.errors import InputError
from ragcli.evaluation.ranking import (
    DEFAULT_MEASURES,
    Qrels,
    confidence_interval,
    evaluate_run,
    paired_p_value,
)
from ragcli.retrieval.ranking import Ranking
from ragcli.retrieval.search import rank_passages
from ragcli.retrieval.tuned import tuned_of

DEEPEST = 400
"""Passages ranked for each query, from which the documents' ranking is made."""
BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class RetrievalScore:
    """What one ranking reached on ``n`` queries.

    ``values[measure][query id]``, ``means`` and 95 % ``intervals`` by measure; ``p_values``
    of so great a difference to the first ranking if both were equally good (none for the first).
    ``seconds`` of searching.
    """

    ranking: Ranking
    n: int
    values: Mapping[str, Mapping[str, float]]
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    p_values: Mapping[str, float]
    seconds: float


@contextmanager
def corpus_index(corpus: Path, *, encoder_name: str | None = None) -> Iterator[Path]:
    """Index ``corpus``, a file or folder, for the time being; gives the index folder.

    A ``.gz`` file is decompressed. Raises ``InputError`` when something of it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="ragcli-") as name:
        folder = Path(name)
        if corpus.suffix == ".gz":
            plain = folder / corpus.with_suffix("").name
            with open_text(corpus) as packed, plain.open("w", encoding="utf-8") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            corpus = plain
        report = index_paths([corpus], folder / "index", encoder_name=encoder_name)
        if report.failed:
            problem = report.failed[0]
            raise InputError(f"{problem.path}: {problem.reason}")
        yield folder / "index"


def evaluate_retrieval(
    folder: Path,
    queries: Mapping[str, str],
    qrels: Qrels,
    rankings: Sequence[Ranking],
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
    encoder_name: str | None = None,
    named_from: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    tell_missing: Callable[[Sequence[str]], None] = lambda names: None,
) -> list[RetrievalScore]:
    """Score each of ``rankings`` on the queries that ``qrels`` judges, in the index ``folder``.

    A document ranks where its best passage does. Records go by their ids, files by their paths
    from ``named_from``. What a ranking leaves open is what the index was tuned to.
    ``tell_missing`` gets the relevant documents that the index does not have, if any. Raises
    ``InputError`` when no query is judged, or the index has no relevant document at all.
    """
    from ragcli.store import Index

    judged = judged_queries(queries, qrels)
    known = {name: qrels[name] for name in judged}
    scores: list[RetrievalScore] = []
    with Index.open(folder) as index:
        rankings = [tuned_of(index).complete(ranking) for ranking in rankings]
        names = document_names(index, named_from)
        if missing := strangers(known, names.values()):
            tell_missing(missing)
        most = max(rankings, key=lambda ranking: (ranking.rerank, ranking.needs_encoder))
        models = models_of(index.fingerprint, encoder_name, most)
        rank_passages(index, models, ["warm up"], 1, most)
        for number, ranking in enumerate(rankings):
            run: dict[str, list[str]] = {}
            started = time.perf_counter()
            ids = list(judged)
            for first in range(0, len(ids), BATCH_SIZE):
                batch = ids[first : first + BATCH_SIZE]
                texts = [judged[name] for name in batch]
                found = rank_passages(index, models, texts, DEEPEST, ranking)
                for name, hits in zip(batch, found, strict=True):
                    run[name] = list(dict.fromkeys(names[passage_id] for passage_id, _ in hits))
                progress(number * len(ids) + first + len(batch), len(rankings) * len(ids))
            seconds = time.perf_counter() - started
            values = evaluate_run(run, known, measures)
            scores.append(_score(ranking, values, scores[0] if scores else None, seconds))
    return scores


def _score(
    ranking: Ranking,
    values: Mapping[str, Mapping[str, float]],
    first: RetrievalScore | None,
    seconds: float,
) -> RetrievalScore:
    lists = {name: list(of_query.values()) for name, of_query in values.items()}
    return RetrievalScore(
        ranking,
        n=len(next(iter(lists.values()))),
        values=values,
        means={name: sum(own) / len(own) for name, own in lists.items()},
        intervals={name: confidence_interval(own) for name, own in lists.items()},
        p_values={}
        if first is None
        else {
            name: paired_p_value(own, list(first.values[name].values()))
            for name, own in lists.items()
        },
        seconds=seconds,
    )
