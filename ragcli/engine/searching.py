"""The use case ``search``: queries → hits from an index, in batches and in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ragcli.corpus.problem import Problem
from ragcli.engine.batches import read_rows
from ragcli.engine.encoders import models_of
from ragcli.engine.paths import StoredPaths
from ragcli.records import Highlight, ScoredPassage
from ragcli.retrieval.filters import NO_FILTERS, Filters
from ragcli.retrieval.ranking import DEFAULT_RANKING, Ranking
from ragcli.retrieval.search import search_passages
from ragcli.retrieval.terms import word_weights
from ragcli.retrieval.tuned import tuned_of

if TYPE_CHECKING:
    from ragcli.retrieval.models import Models
    from ragcli.store import Index

DEFAULT_K = 10
BATCH_SIZE = 32
"""Queries encoded together; the first results of a stream come after as many."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for; ``query_id`` names it in a batch."""

    text: str
    query_id: str | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of one query, best first, with paths as seen from the person's folder.

    ``highlights[i]`` says what of ``hits[i]`` matched, ``None`` where that was not asked for.
    """

    query: Query
    hits: tuple[ScoredPassage, ...]
    highlights: tuple[Highlight | None, ...]


def read_queries(lines: Iterable[str], name: str) -> Iterator[Query | Problem]:
    """Yield the query of each line of a batch, a ``Problem`` for a line that cannot be meant."""
    for row in read_rows(lines, name, ("text",)):
        yield row if isinstance(row, Problem) else Query(row.text, row.row_id)


def search(
    folder: Path,
    queries: Iterable[Query],
    *,
    k: int | None = None,
    ranking: Ranking = DEFAULT_RANKING,
    filters: Filters = NO_FILTERS,
    min_score: float | None = None,
    encoder_name: str | None = None,
    highlight: bool = False,
    seen_from: Path | None = None,
) -> Iterator[SearchResult]:
    """Yield a result for every query, in order; ``queries`` is read a batch at a time.

    What ``k`` and ``ranking`` leave open is what the index was tuned to, else ``DEFAULT_K`` and the
    default ranking. A lexical ``ranking`` loads no model. ``seen_from`` is the folder that paths
    are shown from, the current one by default.
    Raises ``IndexMissingError``, and ``IndexMismatchError`` when the index was made by another
    encoder than ``encoder_name`` or the encoder has changed since.
    """
    from ragcli.store import Index

    with Index.open(folder) as index:
        tuned = tuned_of(index)
        k = k or tuned.k_for(ranking) or DEFAULT_K
        ranking = tuned.complete(ranking)
        models = models_of(index.fingerprint, encoder_name, ranking)
        shown = StoredPaths(folder.resolve(), (seen_from or Path.cwd()).resolve())
        among = filters.select(index, shown.shown)
        searcher = _Searcher(index, models, ranking, among, shown)
        remaining = iter(queries)
        while batch := list(islice(remaining, BATCH_SIZE)):
            yield from searcher.answer(batch, k, min_score, highlight)


@dataclass(frozen=True, slots=True)
class _Searcher:
    index: Index
    models: Models
    ranking: Ranking
    among: frozenset[int] | None
    paths: StoredPaths

    def answer(
        self, queries: Sequence[Query], k: int, min_score: float | None, highlight: bool
    ) -> Iterator[SearchResult]:
        texts = [query.text for query in queries]
        found = search_passages(
            self.index,
            self.models,
            texts,
            k,
            self.ranking,
            among=self.among,
            min_score=min_score,
        )
        for query, hits in zip(queries, found, strict=True):
            marks = self._highlight(query, hits) if highlight else [None] * len(hits)
            yield SearchResult(query, tuple(map(self.paths.of_hit, hits)), tuple(marks))

    def _highlight(self, query: Query, hits: Sequence[ScoredPassage]) -> Sequence[Highlight]:
        from ragcli.retrieval.highlight import highlight_by_attention, highlight_by_words

        texts = [hit.stored.passage.text for hit in hits]
        if self.models.encoder is None:
            return highlight_by_words(query.text, texts)
        words = word_weights(self.index, query.text)
        return highlight_by_attention(self.models.encoder, query.text, words, texts)
