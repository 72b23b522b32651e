"""Making an approximate FAISS index of the catalogue's vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ragcli.store.vectors.library import FaissIndex, layers, load_faiss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragcli.store.vectors.stored import StoredVectors

_LEAST_PER_CENTROID = 4
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
    return _LEAST_PER_CENTROID * max(map(_centroids, layers(index)))


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
    faiss = load_faiss()
    lists = int(layer.nlist) if isinstance(layer, faiss.IndexIVF) else 1
    return max(lists, int(layer.pq.ksub)) if hasattr(layer, "pq") else lists


def _prepare(layer: FaissIndex) -> None:
    faiss = load_faiss()
    if isinstance(layer, faiss.IndexIVF):
        layer.cp.niter = _ITERATIONS
        layer.cp.max_points_per_centroid = _MOST_PER_CENTROID
        layer.cp.min_points_per_centroid = 1  # below it FAISS writes warnings to stderr
    if hasattr(layer, "pq"):
        layer.pq.cp.min_points_per_centroid = 1
    if hasattr(layer, "do_polysemous_training"):
        layer.do_polysemous_training = False  # minutes, for a way to search that is not used
