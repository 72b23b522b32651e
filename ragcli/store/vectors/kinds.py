"""Types of index: their names, what FAISS makes of them, and which one is chosen."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress

from ragcli.errors import UsageError

AUTO, FLAT, IVF, IVF_PQ, HNSW = NAMES = ("auto", "flat", "ivf", "ivf-pq", "hnsw")
"""Names of index types; anything else is a FAISS factory string."""

DEFAULT_RECALL = 0.95

FLAT_LIMIT = 50_000
"""So many passages are searched exactly by default: see ``docs/scaling.md`` for the figures."""

_LISTS_PER_ROOT = 4  # the lists of an inverted file: 4 sqrt(n), within FAISS's own advice
_NOTHING = re.compile(r"[A-Za-z]0(?!\d)")  # FAISS takes IVF0 and HNSW0, and fails later
_PASSAGES_PER_LIST = 4
_PQ_COMPONENTS = 8  # components of a vector that share one byte
_MEMORY_SHARE = 4


def check_index_type(choice: str, dimension: int) -> str:
    """The index type as it is kept, when it is a name or FAISS can make an index of it.

    Raises ``UsageError`` otherwise.
    """
    if choice.lower() in NAMES:
        return choice.lower()
    from ragcli.store.vectors.library import load_faiss

    faiss = load_faiss()
    made = None
    with suppress(RuntimeError):
        if not _NOTHING.search(choice):
            made = faiss.index_factory(dimension, choice, faiss.METRIC_INNER_PRODUCT)
    if made is None or isinstance(made, faiss.IndexRefine):  # scores are exact without it
        raise UsageError(
            f"no index type {choice!r} for vectors of {dimension} components",
            f"choose one of {', '.join(NAMES)}, or a FAISS factory string such as IVF1024,SQ8",
        )
    return choice


def check_recall(recall: float) -> float:
    """The recall when it is a share; raises ``UsageError`` otherwise."""
    if not 0 < recall <= 1:
        raise UsageError(f"the recall is {recall}, expected a share above 0 and at most 1")
    return recall


def resolve(choice: str, count: int, dimension: int, current: str | None = None) -> str:
    """The type to use for ``count`` passages: ``choice``, or for ``auto`` what suits them.

    ``current`` is the type in use, which is kept until the number has halved, so that an index
    near the limit is not built anew with every change.
    """
    if choice != AUTO:
        return choice
    if count <= (FLAT_LIMIT if current in {None, FLAT} else FLAT_LIMIT // 2):
        return FLAT
    return IVF if count * dimension * _MEMORY_SHARE <= _memory_bytes() else IVF_PQ


def factory_string(kind: str, count: int, dimension: int) -> str:
    """What FAISS makes an index of this type for ``count`` vectors of; factory strings as is."""
    lists = max(1, min(_LISTS_PER_ROOT * math.isqrt(count), count // _PASSAGES_PER_LIST))
    if kind == IVF_PQ:
        parts = max(1, dimension // _PQ_COMPONENTS)
        while dimension % parts:
            parts -= 1
        return f"IVF{lists},PQ{parts}"
    return {FLAT: "Flat", IVF: f"IVF{lists},SQ8", HNSW: "HNSW32,SQ8"}.get(kind, kind)


def _memory_bytes() -> float:
    """Memory of this machine; unlimited where the system does not tell."""
    with suppress(AttributeError, OSError, ValueError):
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return math.inf
