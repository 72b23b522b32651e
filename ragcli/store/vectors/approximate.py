"""Approximate search: FAISS proposes candidates, the catalogue's own vectors score them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ragcli.store.vectors.library import FaissIndex, held_ids, layers, load_faiss
from ragcli.store.vectors.stored import checked_queries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragcli.records import Scores
    from ragcli.store.vectors.derivation import Derivation
    from ragcli.store.vectors.stored import StoredVectors

EXHAUSTIVE_LIMIT = 10_000
"""Among so many passages or fewer, a filtered search looks at the stored vectors themselves."""

_SPARE_CANDIDATES = 16
_CANDIDATES_PER_HIT = 2
_COARSE_CANDIDATES_PER_HIT = 8  # where a component of a vector is kept in less than a byte
_WIDENING = 4
_MOST_BREADTH = 4096  # of efSearch
_LEAST_ALIVE = 0.75  # of what an index holds that cannot remove: below, it is built anew


class ApproximateVectors:
    """A FAISS index that compresses vectors or leaves some unseen: passage id -> vector.

    Every score is exact, see ``StoredVectors.rescored``; what is approximate is which passages
    are scored. Passages that the catalogue no longer has are never found. ``recent`` are passages
    that the catalogue has and the index lacks: they are searched exactly.
    """

    def __init__(
        self,
        faiss_index: FaissIndex,
        derivation: Derivation,
        stored: StoredVectors,
        recent: frozenset[int] = frozenset(),
    ) -> None:
        self.faiss_index = faiss_index
        self.derivation = derivation
        self._stored = stored
        self._recent = recent
        self._layers = layers(faiss_index)
        self.parameter = _parameter(self._layers[-1])

    def __len__(self) -> int:
        return int(self.faiss_index.ntotal)

    @property
    def most_breadth(self) -> int:
        """The greatest setting of the parameter that makes sense; 1 when there is no parameter."""
        if self.parameter == "nprobe":
            return int(self._layers[-1].nlist)
        return max(1, min(_MOST_BREADTH, len(self))) if self.parameter else 1

    def ids(self) -> NDArray[np.int64]:
        """The passage ids held, unsorted; with those that could not be removed."""
        return held_ids(self.faiss_index)

    def bring_in_step(self, wanted: NDArray[np.int64]) -> bool:
        """Hold the passages ``wanted``; ``False`` when the index has to be built anew for that.

        A type that cannot remove keeps what is gone, as long as that is a small part.
        """
        held = self.ids()
        gone = np.setdiff1d(held, wanted)
        try:
            if gone.size:
                self.faiss_index.remove_ids(gone)
        except RuntimeError:  # this type of index cannot
            if len(held) - len(gone) < _LEAST_ALIVE * len(held):
                return False
        try:
            for ids, rows in self._stored.batches(np.setdiff1d(wanted, held)):
                self.faiss_index.add_with_ids(rows, ids)
        except RuntimeError:
            return False
        return True

    def search(
        self, queries: NDArray[np.float32], k: int, among: frozenset[int] | None = None
    ) -> list[Scores]:
        """As ``FlatVectors.search``, but a few of the best may be missed.

        Never fewer than ``k`` while there are more: then every vector is looked at. What a filter
        leaves may all lie far from the query, so that no setting is known to be broad enough:
        with ``among``, all of these are looked at, few of them exactly.
        """
        queries = checked_queries(queries, k, self._stored.dimension)
        count = len(self) + len(self._recent) if among is None else len(among)
        if k >= count // 2 or (among is not None and not self._looks_at_all(count)):
            return self._stored.search(queries, k, among)
        recent = self._recent if among is None else self._recent & among
        breadth = self.most_breadth if among is not None else self.derivation.setting or 1
        try:
            results = self.search_at(breadth, queries, k, among, wide=True)
        except RuntimeError:  # lists whose codes FAISS cannot search with a filter
            if among is None:
                raise
            return self._stored.search(queries, k, among)
        if recent:
            exact = self._stored.search(queries, k, recent)
            results = [_merged(*pair, k) for pair in zip(results, exact, strict=True)]
        short = [row for row, hits in enumerate(results) if len(hits) < k]
        if short:
            complete = self._stored.search(queries[short], k, among)
            for row, hits in zip(short, complete, strict=True):
                results[row] = hits
        return results

    def search_at(
        self,
        breadth: int,
        queries: NDArray[np.float32],
        k: int,
        among: frozenset[int] | None = None,
        *,
        wide: bool = False,
    ) -> list[Scores]:
        """The best ``k`` of what FAISS proposes when the parameter is set to ``breadth``.

        ``wide`` looks more broadly while there are fewer than ``k``.
        """
        while True:
            proposed = self._proposed(breadth, queries, self._depth(k), among)
            results = self._stored.rescored(queries, proposed, k)
            enough = all(len(hits) == k for hits in results)
            if enough or not wide or breadth >= self.most_breadth:
                return results
            breadth = min(breadth * _WIDENING, self.most_breadth)

    def _looks_at_all(self, count: int) -> bool:
        """Whether FAISS can look at all ``count`` that pass a filter, and is faster.

        Only inverted files are trusted with it: other types refuse a filter, miss much of what
        passes, or take it for row numbers where a transform stands between.
        """
        has_lists = self.parameter == "nprobe"
        keeps_ids = not isinstance(self._layers[0], load_faiss().IndexIDMap)
        return count > EXHAUSTIVE_LIMIT and has_lists and keeps_ids

    def _depth(self, k: int) -> int:
        coarse = _code_bytes(self._layers[-1]) < self._stored.dimension
        per_hit = _COARSE_CANDIDATES_PER_HIT if coarse else _CANDIDATES_PER_HIT
        return min(k * per_hit + _SPARE_CANDIDATES, len(self))

    def _proposed(
        self,
        breadth: int,
        queries: NDArray[np.float32],
        depth: int,
        among: frozenset[int] | None,
    ) -> list[NDArray[np.int64]]:
        if not depth or not len(queries):
            return [np.empty(0, dtype=np.int64) for _ in queries]
        parameters = self._search_parameters(breadth, among)
        _, ids = self.faiss_index.search(queries, depth, params=parameters)
        return [row[row >= 0] for row in ids]  # FAISS fills a row with the id -1

    def _search_parameters(self, breadth: int, among: frozenset[int] | None) -> FaissIndex:
        faiss = load_faiss()
        given = {} if self.parameter is None else {self.parameter: breadth}
        if among is not None:
            ids = np.fromiter(among, dtype=np.int64, count=len(among))
            given["sel"] = faiss.IDSelectorBatch(ids)
        if not given:
            return None
        kinds = {"nprobe": faiss.SearchParametersIVF, "efSearch": faiss.SearchParametersHNSW}
        parameters = kinds.get(self.parameter or "", faiss.SearchParameters)(**given)
        for layer in self._layers:
            if isinstance(layer, faiss.IndexPreTransform):
                parameters = faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters


def _parameter(core: FaissIndex) -> str | None:
    """What says how broadly this index searches."""
    if hasattr(core, "nprobe"):
        return "nprobe"
    return "efSearch" if hasattr(core, "hnsw") else None


def _code_bytes(core: FaissIndex) -> int:
    """Bytes that a vector is kept in; 0 when that is not known."""
    if hasattr(core, "hnsw"):
        core = load_faiss().downcast_index(core.storage)
    return int(getattr(core, "code_size", 0))


def _merged(first: Scores, second: Scores, k: int) -> Scores:
    return sorted({*first, *second}, key=lambda hit: (-hit[1], hit[0]))[:k]
