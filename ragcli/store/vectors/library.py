"""The faiss module, and a way through the layers of its indexes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def held_ids(index: FaissIndex) -> NDArray[np.int64]:
    """The passage ids that a FAISS index of ours holds, unsorted; removed ones where it keeps them.

    A map of ids knows them, else they stand in inverted lists.
    """
    import numpy as np

    faiss = load_faiss()
    outer, *_ = every = layers(index)
    found: NDArray[np.int64]
    if isinstance(outer, faiss.IndexIDMap):
        found = faiss.vector_to_array(outer.id_map)
        return found
    core, lists = every[-1], [np.empty(0, dtype=np.int64)]
    for number in range(core.nlist):
        size = core.invlists.list_size(number)
        if size:
            lists.append(faiss.rev_swig_ptr(core.invlists.get_ids(number), size).copy())
    return np.concatenate(lists)
