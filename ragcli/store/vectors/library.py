"""The faiss module, and a way through the layers of its indexes."""

from __future__ import annotations

import sys
from typing import Any

FaissIndex = Any
"""An index of FAISS, whose type stubs lack most of the Python layer."""


def load_faiss() -> Any:  # noqa: ANN401  (its type stubs lack most of the Python layer)
    """The faiss module; imported only when vectors are needed (0.2 s)."""
    import faiss

    if sys.platform == "darwin":
        # faiss and torch each bring an OpenMP runtime there; two thread pools crash the process.
        faiss.omp_set_num_threads(1)
    return faiss


def layers(index: FaissIndex) -> list[FaissIndex]:
    """A FAISS index and what it wraps, from the outside in: map of ids, transform, core."""
    faiss = load_faiss()
    found = [faiss.downcast_index(index)]
    while isinstance(found[-1], (faiss.IndexIDMap, faiss.IndexPreTransform)):
        found.append(faiss.downcast_index(found[-1].index))
    return found
