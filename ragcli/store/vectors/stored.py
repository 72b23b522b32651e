"""The float32 vectors that the catalogue holds, and exact search over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragcli.records import Scores

VectorReader = Callable[[Sequence[int]], Iterable[tuple[list[int], bytes]]]
"""Passage ids -> batches of ids with their vectors, concatenated little-endian float32.

Ids that are not stored are left out.
"""

FLOAT32_ROUNDING = 2.0**-24


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The catalogue's vectors ``(dimension,)``: ``read`` some, ``ids`` of all, unsorted."""

    dimension: int
    read: VectorReader
    ids: Callable[[], NDArray[np.int64]]

    def batches(
        self, ids: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Ids with their vectors ``(n, dimension)``, some thousands at a time, in no order."""
        for batch, blob in self.read(ids.tolist()) if ids.size else ():
            rows = np.frombuffer(blob, dtype="<f4").reshape(len(batch), self.dimension)
            yield np.asarray(batch, dtype=np.int64), np.ascontiguousarray(rows, dtype=np.float32)

    def rows(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of the ``ids`` that are stored, ascending, and their vectors ``(n, dimension)``."""
        wanted = np.unique(ids)
        rows = np.empty((len(wanted), self.dimension), dtype=np.float32)
        is_stored = np.zeros(len(wanted), dtype=bool)
        for batch, vectors in self.batches(wanted):
            places = np.searchsorted(wanted, batch)
            rows[places], is_stored[places] = vectors, True
        return (wanted, rows) if is_stored.all() else (wanted[is_stored], rows[is_stored])

    def search(
        self, queries: NDArray[np.float32], k: int, among: frozenset[int] | None = None
    ) -> list[Scores]:
        """As ``FlatVectors.search``, by reading every vector; needs memory for few at a time."""
        queries = checked_queries(queries, k, self.dimension)
        ids = self.ids() if among is None else _as_array(among)
        best = [_Best(k, self.dimension, query) for query in queries]
        for batch, rows in self.batches(ids) if len(queries) else ():
            for own, scores in zip(best, queries @ rows.T, strict=True):
                own.consider(batch, scores)
        return self.rescored(queries, [own.ids for own in best], k)

    def rescored(
        self, queries: NDArray[np.float32], candidates: Sequence[NDArray[np.int64]], k: int
    ) -> list[Scores]:
        """The best ``k`` of each query's candidates by their exact scores, ties by id.

        Candidates that are not stored are left out.
        """
        if not candidates:
            return []
        stored, rows = self.rows(np.concatenate(candidates))
        results = []
        for query, wanted in zip(queries, candidates, strict=True):
            own = np.intersect1d(wanted, stored)
            results.append(ranked(query, own, rows[np.searchsorted(stored, own)], k))
        return results


class _Best:
    """The ids of the best ``k`` passages met so far, with those that rounding may put there."""

    def __init__(self, k: int, dimension: int, query: NDArray[np.float32]) -> None:
        self._k = k
        # Of the sum over the dimensions, of this score and of the one it is compared with.
        self._rounding = 2 * dimension * FLOAT32_ROUNDING * float(np.linalg.norm(query))
        self.ids = np.empty(0, dtype=np.int64)
        self._scores = np.empty(0, dtype=np.float32)

    def consider(self, ids: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        ids = np.concatenate([self.ids, ids])
        scores = np.concatenate([self._scores, scores])
        if len(ids) > self._k:
            least = np.partition(scores, len(scores) - self._k)[len(scores) - self._k]
            kept = scores >= least - self._rounding
            ids, scores = ids[kept], scores[kept]
        self.ids, self._scores = ids, scores


def checked_queries(queries: NDArray[np.float32], k: int, dimension: int) -> NDArray[np.float32]:
    """Queries ``(n, dimension)`` as FAISS takes them; raises ``ValueError`` for what are none."""
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise ValueError(f"queries are {queries.shape}, expected (n, {dimension})")
    if not np.isfinite(queries).all():
        raise ValueError("a query vector is not finite, expected unit vectors")
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    return queries


def ranked(
    query: NDArray[np.float32], ids: NDArray[np.int64], vectors: NDArray[np.float32], k: int
) -> Scores:
    """The best ``k`` by their inner product in float64, rounded to float32; ties by id.

    FAISS's own scores change in the last bit with the batch and with the place of a vector, so
    they cannot break ties.
    """
    scores = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1).astype(np.float32)
    best = np.lexsort((ids, -scores))[:k]
    return [(int(ids[i]), float(scores[i])) for i in best]


def _as_array(ids: frozenset[int]) -> NDArray[np.int64]:
    return np.sort(np.fromiter(ids, dtype=np.int64, count=len(ids)))
