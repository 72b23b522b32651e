"""Scaled dot-product attention in plain NumPy, written to be read.

This file belongs to the handbook. It shows the whole computation for one head, without a
framework, so that every number can be inspected. Real models run the same steps for many heads
and many sentences at once, and they run them on a graphics card.

Shapes used below: ``m`` is the number of queries, ``n`` the number of keys, ``d`` the width of a
query or key and ``v`` the width of a value. In self-attention ``m`` equals ``n``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]


def softmax(scores: Matrix) -> Matrix:
    """Turn each row of scores into weights that add up to one.

    The largest score of the row is subtracted first. This changes nothing in exact arithmetic,
    but it keeps the exponential from overflowing when a score is large.
    """
    shifted = scores - scores.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def causal_mask(length: int) -> Mask:
    """Return a lower triangle: position ``i`` may look at the positions up to and including ``i``.

    The entry is true where looking is allowed. A mask for padding has the same shape but is true
    in whole columns.
    """
    return np.tri(length, dtype=np.bool_)


def attend(
    queries: Matrix, keys: Matrix, values: Matrix, visible: Mask | None = None
) -> tuple[Matrix, Matrix]:
    """Return the outputs ``(m, v)`` and the attention weights ``(m, n)``.

    The weights are returned along with the outputs on purpose. Fused kernels never build the
    table of weights, which makes them fast, but whoever wants to know where an answer came from
    needs to see it. A row in which nothing is visible has no meaningful weights, so the function
    refuses it.

    Raises:
        ValueError: if some query may not look at any key.
    """
    if visible is not None and not visible.any(axis=-1).all():
        raise ValueError("a query without any visible key has no attention weights")
    scores = queries @ keys.T / np.sqrt(queries.shape[-1])
    if visible is not None:
        scores = np.where(visible, scores, -np.inf)
    weights = softmax(scores)
    return weights @ values, weights


def entropy(weights: Matrix) -> NDArray[np.float64]:
    """Return the entropy of each row of weights, measured in bits.

    Zero means that a query looks at one key only. The maximum is the logarithm to base two of
    the number of keys and means that it looks at all of them equally. With eight keys the
    maximum is three bits.
    """
    safe = np.where(weights > 0, weights, 1.0)
    return -(weights * np.log2(safe)).sum(axis=-1)
