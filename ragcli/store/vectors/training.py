"""Making an approximate FAISS index of the catalogue's vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ragcli.store.vectors.library import FaissIndex, layers, load_faiss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragcli.store.vectors.stored import StoredVectors

_LEAST_PER_CENTROID = 4
_LEAST_FOR_OTHERS = 10_000  # where FAISS's own limit cannot be set: 39 for each of 256 centroids
_MOST_PER_CENTROID = 64  # more makes the lists hardly better and training longer
_ITERATIONS = 10
_LEAST_SAMPLE = 1 << 16
_SEED = 0


def empty_index(factory: str, dimension: int) -> FaissIndex:
    """The untrained FAISS index of a factory string, for inner products, that keeps passage ids."""
    faiss = load_faiss()
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    outer, *inner = layers(index)
    for layer in (outer, *inner):
        _prepare(layer)
    keeps_ids = isinstance((outer, *inner)[-1], faiss.IndexIVF)
    return index if keeps_ids or isinstance(outer, faiss.IndexIDMap) else faiss.IndexIDMap(index)


def least_passages(index: FaissIndex) -> int:
    """How many vectors it takes to train this index."""
    found = layers(index)
    least = _LEAST_PER_CENTROID * max(map(_centroids, found))
    return max(least, _LEAST_FOR_OTHERS) if any(map(_has_own_limit, found)) else least


def build(index: FaissIndex, ids: NDArray[np.int64], stored: StoredVectors) -> None:
    """Train an empty index on a sample of the passages ``ids``, then add all of them."""
    if not index.is_trained:
        size = max(_LEAST_SAMPLE, _MOST_PER_CENTROID * max(map(_centroids, layers(index))))
        sample = np.random.default_rng(_SEED).permutation(np.sort(ids))[:size]
        index.train(stored.rows(sample)[1])
    for batch, rows in stored.batches(np.sort(ids)):
        index.add_with_ids(rows, batch)


def _centroids(layer: FaissIndex) -> int:
    """The most centroids that one k-means of this layer looks for."""
    lists = int(layer.nlist) if isinstance(layer, load_faiss().IndexIVF) else 1
    codes = _codes(layer)
    return max(lists, int(codes.pq.ksub)) if hasattr(codes, "pq") else lists


def _codes(layer: FaissIndex) -> FaissIndex:
    """What keeps the vectors of this layer: of a graph its storage."""
    return load_faiss().downcast_index(layer.storage) if hasattr(layer, "hnsw") else layer


def _has_own_limit(layer: FaissIndex) -> bool:
    """Whether this layer is trained in a way whose warnings cannot be turned off."""
    faiss = load_faiss()
    if isinstance(layer, faiss.IndexPreTransform):
        steps = (
            faiss.downcast_VectorTransform(layer.chain.at(i)) for i in range(layer.chain.size())
        )
        return any(isinstance(step, (faiss.OPQMatrix, faiss.ITQTransform)) for step in steps)
    return any(hasattr(_codes(layer), quantizer) for quantizer in ("rq", "lsq", "prq", "plsq"))


def _prepare(layer: FaissIndex) -> None:
    if isinstance(layer, load_faiss().IndexIVF):
        layer.cp.niter = _ITERATIONS
        layer.cp.max_points_per_centroid = _MOST_PER_CENTROID
        layer.cp.min_points_per_centroid = 1  # below it FAISS writes warnings to stderr
    codes = _codes(layer)
    if hasattr(codes, "pq"):
        codes.pq.cp.min_points_per_centroid = 1
    if hasattr(codes, "do_polysemous_training"):
        codes.do_polysemous_training = False  # minutes, for a way to search that is not used
