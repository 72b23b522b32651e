"""One index folder: a SQLite catalogue, which is the truth, and FAISS vectors derived from it."""

from __future__ import annotations

from ragcli.store.index import EmbeddedDocument, Index
from ragcli.store.locate import (
    DEFAULT_FOLDER,
    absolute_path,
    holds_index,
    locate_index,
    stored_path,
)
from ragcli.store.manifest import IndexFingerprint, IndexSummary, SourceState
from ragcli.store.vectors.derivation import Derivation
from ragcli.store.vectors.kinds import check_index_type, check_recall
from ragcli.store.words import stem_counts

__all__ = [
    "DEFAULT_FOLDER",
    "Derivation",
    "EmbeddedDocument",
    "Index",
    "IndexFingerprint",
    "IndexSummary",
    "SourceState",
    "absolute_path",
    "check_index_type",
    "check_recall",
    "holds_index",
    "locate_index",
    "stem_counts",
    "stored_path",
]
