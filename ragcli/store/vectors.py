"""The passages' vectors in memory: a flat FAISS index, searched exactly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragcli.records import Scores

VectorReader = Callable[[Sequence[int]], Iterable[tuple[list[int], bytes]]]
"""Passage ids -> batches of ids with their vectors, concatenated little-endian float32."""

_SPARE_CANDIDATES = 16  # fetched beyond k, so that most near-ties at rank k are settled at once
_FLOAT32_ROUNDING = 2.0**-24


def load_faiss() -> Any:  # noqa: ANN401  (its type stubs lack most of the Python layer)
    """The faiss module; imported only when vectors are needed (0.2 s)."""
    import faiss

    if sys.platform == "darwin":
        # faiss and torch each bring an OpenMP runtime there; two thread pools crash the process.
        faiss.omp_set_num_threads(1)
    return faiss


class VectorIndex:
    """An ``IndexIDMap2`` over an ``IndexFlatIP``: passage id -> unit vector ``(dimension,)``."""

    def __init__(self, dimension: int, stored: Any = None) -> None:  # noqa: ANN401
        self.dimension = dimension
        if stored is None:
            faiss = load_faiss()
            stored = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self.faiss_index = stored

    def __len__(self) -> int:
        return int(self.faiss_index.ntotal)

    def ids(self) -> NDArray[np.int64]:
        """The passage ids held, ``(len(self),)``, unsorted."""
        found: NDArray[np.int64] = load_faiss().vector_to_array(self.faiss_index.id_map)
        return found

    def bring_in_step(self, wanted: NDArray[np.int64], read: VectorReader) -> None:
        """Hold exactly the passages ``wanted``, reading only the vectors that are missing.

        Comparing ids is enough, because a passage id is never given to another vector.
        """
        held = self.ids()
        gone = np.setdiff1d(held, wanted)
        if gone.size:
            self.faiss_index.remove_ids(gone)
        missing = np.setdiff1d(wanted, held)
        for ids, blob in read(missing.tolist()) if missing.size else ():
            rows = np.frombuffer(blob, dtype="<f4").reshape(len(ids), self.dimension)
            self.faiss_index.add_with_ids(
                np.ascontiguousarray(rows, dtype=np.float32), np.asarray(ids, dtype=np.int64)
            )

    def search(
        self, queries: NDArray[np.float32], k: int, among: frozenset[int] | None = None
    ) -> list[Scores]:
        """The ``k`` passages with the greatest inner product, for each of ``(n, dimension)``.

        Fewer when fewer are held; ``among`` names the passages to choose from, all of them held.
        A score does not depend on what else is in the batch, and equal vectors have equal scores:
        FAISS only proposes candidates, see ``_rescore``.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise ValueError(f"queries are {queries.shape}, expected (n, {self.dimension})")
        if not np.isfinite(queries).all():
            raise ValueError("a query vector is not finite, expected unit vectors")
        if k < 1:
            raise ValueError(f"k is {k}, expected at least 1")
        results: list[Scores] = [[] for _ in queries]
        candidates = _Candidates(self.faiss_index, among)
        unsettled = np.arange(len(queries)) if candidates.count else np.arange(0)
        depth = k + _SPARE_CANDIDATES
        while unsettled.size:
            # Never deeper than there are: FAISS fills the rest of a row with the id -1.
            depth = min(depth, candidates.count)
            scores, ids = candidates.ranked(queries[unsettled], depth)
            still_open = []
            for row, row_scores, row_ids in zip(unsettled, scores, ids, strict=True):
                results[row] = self._rescore(queries[row], row_ids, k)
                if self._may_miss(queries[row], row_scores[-1], results[row]):
                    still_open.append(row)
            unsettled = np.asarray(still_open if depth < candidates.count else [], dtype=np.intp)
            depth *= 2
        return results

    def _may_miss(self, query: NDArray[np.float32], last: float, hits: Scores) -> bool:
        """Whether a passage FAISS ranked below the score ``last`` may belong among ``hits``."""
        rounding = self.dimension * _FLOAT32_ROUNDING * float(np.linalg.norm(query))
        return float(last) + rounding >= hits[-1][1]

    def _rescore(self, query: NDArray[np.float32], ids: NDArray[np.int64], k: int) -> Scores:
        """The best ``k`` of the candidates by their inner product in float64, rounded to float32.

        FAISS's own scores change in the last bit with the batch and with the place of a vector,
        so they cannot break ties.
        """
        vectors = self.faiss_index.reconstruct_batch(ids).astype(np.float64)
        scores = (vectors * query.astype(np.float64)).sum(axis=1).astype(np.float32)
        best = np.lexsort((ids, -scores))[:k]
        return [(int(ids[i]), float(scores[i])) for i in best]


class _Candidates:
    """What of a FAISS index may be found: everything, or the passages ``among``."""

    def __init__(self, faiss_index: Any, among: frozenset[int] | None) -> None:  # noqa: ANN401
        self._index = faiss_index
        self._parameters = None
        self.count = int(faiss_index.ntotal)
        if among is not None:
            faiss = load_faiss()
            ids = np.fromiter(among, dtype=np.int64, count=len(among))
            self._parameters = faiss.SearchParameters(sel=faiss.IDSelectorBatch(ids))
            self.count = len(among)

    def ranked(
        self, queries: NDArray[np.float32], depth: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and ids ``(n, depth)`` by inner product as FAISS computes it."""
        scores, ids = self._index.search(queries, depth, params=self._parameters)
        return scores, ids
