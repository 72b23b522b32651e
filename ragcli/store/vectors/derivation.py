"""What ``vectors.faiss`` was made as, and what was measured of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

_GROWTH = 2  # an index that was trained is trained anew when the passages doubled or halved


@dataclass(frozen=True, slots=True)
class Derivation:
    """How the vectors were made from the catalogue's.

    ``kind`` is the type that was wanted (a name or a factory string), ``factory`` what FAISS made;
    ``passages`` were there when it was made. Flat search is exact and has nothing to tune.
    An approximate index was tuned to ``requested_recall``: ``setting`` is the value of
    ``parameter`` (nprobe or efSearch), ``measured_recall`` is recall@10 against exact search.
    ``enough_at`` is the number of passages from which ``kind`` can be trained, where there were
    too few and the index is flat for the time being.
    """

    kind: str
    factory: str
    passages: int
    requested_recall: float | None = None
    measured_recall: float | None = None
    parameter: str | None = None
    setting: int | None = None
    enough_at: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every search looks at every vector, uncompressed."""
        return self.factory == "Flat"

    def needs_building(self, kind: str, count: int) -> bool:
        """Whether ``count`` passages of an index of type ``kind`` should be built anew."""
        if self.kind != kind or (self.enough_at is not None and count >= self.enough_at):
            return True
        outgrown = count > self.passages * _GROWTH or count * _GROWTH < self.passages
        return outgrown and not self.is_exact

    def needs_tuning(self, recall: float) -> bool:
        """Whether it was tuned to another recall than is wanted now."""
        return not self.is_exact and self.requested_recall != recall

    def to_json(self) -> str:
        """The derivation as the file keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Derivation:
        """The derivation that ``to_json`` wrote; raises ``ValueError`` or ``TypeError``."""
        return cls(**json.loads(text))


def flat_derivation(kind: str, passages: int, enough_at: int | None = None) -> Derivation:
    """The derivation of an exact index."""
    return Derivation(kind, "Flat", passages, enough_at=enough_at)
