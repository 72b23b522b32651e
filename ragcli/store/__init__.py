"""One index folder: a SQLite catalogue, which is the truth, and FAISS vectors derived from it."""

from __future__ import annotations

from ragcli.store.checking import (
    DAMAGED,
    NOTE,
    REPAIR,
    SOUND,
    Finding,
    check_folder,
    readable_fingerprint,
)
from ragcli.store.compacting import Compacted, compact_catalogue
from ragcli.store.contents import HeldDocument, HeldSource
from ragcli.store.embedded import EmbeddedDocument
from ragcli.store.index import Index
from ragcli.store.locate import (
    DEFAULT_FOLDER,
    absolute_path,
    holds_index,
    locate_index,
    stored_path,
    stored_paths,
)
from ragcli.store.lock import locked
from ragcli.store.manifest import INCOMPLETE, IndexFingerprint, IndexSummary, SourceState
from ragcli.store.moving import check_export, export_catalogue, import_catalogue
from ragcli.store.repairing import Mended, discard_vectors, embed_bare, mend_catalogue
from ragcli.store.rows import text_hash
from ragcli.store.salvaging import counted
from ragcli.store.surroundings import (
    SQLITE_VERSION,
    check_surroundings,
    folder_bytes,
    remove_leftovers,
)
from ragcli.store.vectors.derivation import Derivation
from ragcli.store.vectors.kinds import check_index_type, check_recall
from ragcli.store.words import stem_counts

__all__ = [
    "DAMAGED",
    "DEFAULT_FOLDER",
    "INCOMPLETE",
    "NOTE",
    "REPAIR",
    "SOUND",
    "SQLITE_VERSION",
    "Compacted",
    "Derivation",
    "EmbeddedDocument",
    "Finding",
    "HeldDocument",
    "HeldSource",
    "Index",
    "IndexFingerprint",
    "IndexSummary",
    "Mended",
    "SourceState",
    "absolute_path",
    "check_export",
    "check_folder",
    "check_index_type",
    "check_recall",
    "check_surroundings",
    "compact_catalogue",
    "counted",
    "discard_vectors",
    "embed_bare",
    "export_catalogue",
    "folder_bytes",
    "holds_index",
    "import_catalogue",
    "locate_index",
    "locked",
    "mend_catalogue",
    "readable_fingerprint",
    "remove_leftovers",
    "stem_counts",
    "stored_path",
    "stored_paths",
    "text_hash",
]
