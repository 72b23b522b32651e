"""Hard negatives: for each question the passages that look most like an answer but hold none.

BM25 (Robertson & Zaragoza 2009) over WordPiece ids as one sparse matrix product: all questions of
a data set against all its passages in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

K1, B = 0.9, 0.4
_CHUNK = 2000


def bm25_matrix(passages: Sequence[NDArray[np.int32]], vocabulary_size: int) -> sparse.csr_matrix:
    """``(vocabulary_size, n_passages)``: the BM25 weight of each term in each passage."""
    counts = _counts(passages, vocabulary_size).tocsr()
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    document_frequency = np.bincount(counts.indices, minlength=vocabulary_size)
    idf = np.log1p((len(passages) - document_frequency + 0.5) / (document_frequency + 0.5))
    row = np.repeat(np.arange(len(passages)), np.diff(counts.indptr))
    norm = K1 * (1 - B + B * lengths[row] / max(lengths.sum() / max(len(passages), 1), 1e-9))
    counts.data = idf[counts.indices] * counts.data * (K1 + 1) / (counts.data + norm)
    return counts.T.tocsr()


def _counts(texts: Sequence[NDArray[np.int32]], vocabulary_size: int) -> sparse.csr_matrix:
    """Term counts ``(n_texts, vocabulary_size) float32``."""
    rows = np.repeat(np.arange(len(texts)), [len(ids) for ids in texts])
    ids = np.concatenate(texts) if len(texts) else np.zeros(0, dtype=np.int32)
    shape = (len(texts), vocabulary_size)
    return sparse.csr_matrix((np.ones(len(ids), dtype=np.float32), (rows, ids)), shape=shape)


def rank_passages(
    questions: Sequence[NDArray[np.int32]],
    passages: Sequence[NDArray[np.int32]],
    vocabulary_size: int,
    depth: int,
) -> list[NDArray[np.int64]]:
    """For each question the passage numbers with the highest BM25 score, best first."""
    weights = bm25_matrix(passages, vocabulary_size)
    depth = min(depth, len(passages))
    ranked: list[NDArray[np.int64]] = []
    for start in range(0, len(questions), _CHUNK):
        scores = _counts(questions[start : start + _CHUNK], vocabulary_size) @ weights
        for row in scores.toarray():
            best = np.argpartition(-row, depth - 1)[:depth]
            ranked.append(best[np.lexsort((best, -row[best]))])
    return ranked
