"""Exact search: a flat FAISS index in memory, which holds every vector uncompressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ragcli.store.vectors.derivation import Derivation, flat_derivation
from ragcli.store.vectors.kinds import FLAT
from ragcli.store.vectors.library import FaissIndex, load_faiss
from ragcli.store.vectors.stored import FLOAT32_ROUNDING, checked_queries, ranked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragcli.records import Scores
    from ragcli.store.vectors.stored import StoredVectors

_SPARE_CANDIDATES = 16  # fetched beyond k, so that most near-ties at rank k are settled at once


class FlatVectors:
    """An ``IndexIDMap2`` over an ``IndexFlatIP``: passage id -> unit vector ``(dimension,)``."""

    def __init__(
        self,
        dimension: int,
        stored: FaissIndex = None,
        derivation: Derivation | None = None,
    ) -> None:
        self.dimension = dimension
        if stored is None:
            faiss = load_faiss()
            stored = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self.faiss_index = stored
        self.derivation = derivation or flat_derivation(FLAT, len(self))

    def __len__(self) -> int:
        return int(self.faiss_index.ntotal)

    def ids(self) -> NDArray[np.int64]:
        """The passage ids held, ``(len(self),)``, unsorted."""
        found: NDArray[np.int64] = load_faiss().vector_to_array(self.faiss_index.id_map)
        return found

    def bring_in_step(self, wanted: NDArray[np.int64], stored: StoredVectors) -> None:
        """Hold exactly the passages ``wanted``, reading only the vectors that are missing.

        Comparing ids is enough, because a passage id is never given to another vector.
        """
        held = self.ids()
        gone = np.setdiff1d(held, wanted)
        if gone.size:
            self.faiss_index.remove_ids(gone)
        for ids, rows in stored.batches(np.setdiff1d(wanted, held)):
            self.faiss_index.add_with_ids(rows, ids)

    def search(
        self, queries: NDArray[np.float32], k: int, among: frozenset[int] | None = None
    ) -> list[Scores]:
        """The ``k`` passages with the greatest inner product, for each of ``(n, dimension)``.

        Fewer when fewer are held; ``among`` names the passages to choose from, all of them held.
        A score does not depend on what else is in the batch, and equal vectors have equal scores:
        FAISS only proposes candidates, see ``ranked``.
        """
        queries = checked_queries(queries, k, self.dimension)
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
                vectors = self.faiss_index.reconstruct_batch(row_ids)
                results[row] = ranked(queries[row], row_ids, vectors, k)
                if self._may_miss(queries[row], row_scores[-1], results[row]):
                    still_open.append(row)
            unsettled = np.asarray(still_open if depth < candidates.count else [], dtype=np.intp)
            depth *= 2
        return results

    def _may_miss(self, query: NDArray[np.float32], last: float, hits: Scores) -> bool:
        """Whether a passage FAISS ranked below the score ``last`` may belong among ``hits``."""
        rounding = self.dimension * FLOAT32_ROUNDING * float(np.linalg.norm(query))
        return float(last) + rounding >= hits[-1][1]


def is_flat(index: FaissIndex) -> bool:
    """Whether FAISS holds what ``FlatVectors`` makes."""
    faiss = load_faiss()
    if not isinstance(index, faiss.IndexIDMap2):
        return False
    return isinstance(faiss.downcast_index(index.index), faiss.IndexFlatIP)


class _Candidates:
    """What of a FAISS index may be found: everything, or the passages ``among``."""

    def __init__(self, faiss_index: FaissIndex, among: frozenset[int] | None) -> None:
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
