"""The use case ``status``: what an index holds, which models made it, its size on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragcli.retrieval.tuned import Tuned
    from ragcli.store import IndexSummary


def describe(folder: Path) -> IndexSummary:
    """Describe the index in ``folder`` without loading any model; raises ``IndexMissingError``."""
    from ragcli.store import Index

    with Index.open(folder) as index:
        return index.summary()


def describe_tuned(folder: Path) -> Tuned:
    """What the index in ``folder`` was tuned to; raises ``IndexMissingError``."""
    from ragcli.retrieval.tuned import tuned_of
    from ragcli.store import Index

    with Index.open(folder) as index:
        return tuned_of(index)
