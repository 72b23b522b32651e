"""What an index says about itself and about the sources it holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ragcli.store.vectors.derivation import Derivation


@dataclass(frozen=True, slots=True)
class IndexFingerprint:
    """What made an index: two indexes with equal fingerprints hold comparable vectors.

    ``encoder_revision`` pins the weights, ``dimension`` counts the components of a vector,
    ``max_tokens`` is the longest passage in tokens of the encoder's tokenizer.
    """

    encoder_name: str
    encoder_revision: str
    dimension: int
    query_prompt: str
    passage_prompt: str
    max_tokens: int
    chunker_version: int

    def differences(self, other: IndexFingerprint) -> dict[str, tuple[object, object]]:
        """The fields that differ, each with its value here and in ``other``."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return {name: (ours, theirs) for name, (ours, theirs) in pairs.items() if ours != theirs}

    def to_json(self) -> str:
        """The fingerprint as the catalogue keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> IndexFingerprint:
        """The fingerprint that ``to_json`` wrote."""
        return cls(**json.loads(text))


INCOMPLETE = ""
"""Content hash of a source of which not every document is in place yet."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source file as it was when it was indexed, to tell whether it changed since.

    ``path`` is the stored path (see ``stored_path``), ``size`` counts bytes, ``modified_ns`` is
    the modification time in nanoseconds (negative: not to be relied on), ``settings`` names how
    the file was read (any text; a source read with other settings counts as changed).
    """

    path: str
    content_hash: str
    size: int
    modified_ns: int
    settings: str = ""


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What ``status`` tells; times are in UTC, ``bytes_on_disk`` counts the whole folder.

    ``index_choice`` is the type of index that was chosen and ``requested_recall`` the recall@10;
    ``derivation`` tells what the vectors are, ``None`` when they have not been derived yet.
    """

    sources: int
    documents: int
    passages: int
    bytes_on_disk: int
    fingerprint: IndexFingerprint
    created_at: datetime
    updated_at: datetime
    schema_version: int
    index_choice: str
    requested_recall: float
    derivation: Derivation | None
