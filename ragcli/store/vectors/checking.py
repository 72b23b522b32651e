"""Whether ``vectors.faiss`` is what the catalogue's vectors make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragcli.store.vectors.file import FILE_NAME, Footer, VectorFile

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ragcli.store.catalogue import Manifest
    from ragcli.store.vectors.library import FaissIndex

_BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What was found of the file.

    ``flaw`` says what is wrong, ``lag`` what the next run will bring in step; both are empty for
    a file that is as it should be. ``differing`` are passages whose vector in the catalogue is
    another than in a file that is whole and of the same commit: the one in the catalogue is then
    the damaged one. ``spare`` counts vectors of passages that are gone.
    """

    flaw: str = ""
    lag: str = ""
    told: str = ""
    differing: frozenset[int] = field(default_factory=frozenset)
    spare: int = 0


def look_at_vectors(folder: Path, connection: sqlite3.Connection, manifest: Manifest) -> LookedAt:
    """Compare the file with the commit that the connection sees; the connection's manifest."""
    file = VectorFile(folder)
    footer = file.footer()
    if footer is None:
        if (folder / FILE_NAME).exists():
            return LookedAt(flaw="is torn; searches do without it")
        return LookedAt(lag="is missing; the next search or run derives it")
    loaded = file.load(lambda _: True, lambda _: False)
    if loaded is None:
        return LookedAt(flaw="its checksum does not hold; searches do without it")
    if footer.lineage != manifest.lineage:
        return LookedAt(lag="is of another index; the next search or run derives it anew")
    if footer.generation != manifest.generation:
        return LookedAt(lag="is of another commit; searches and runs bring it in step")
    return _compared(*loaded, connection, manifest.fingerprint.dimension)


def _compared(
    faiss_index: FaissIndex, footer: Footer, connection: sqlite3.Connection, dimension: int
) -> LookedAt:
    import numpy as np

    from ragcli.store.vectors.flat import is_flat
    from ragcli.store.vectors.library import held_ids

    made_as = footer.derivation
    if faiss_index.d != dimension or (made_as.is_exact and not is_flat(faiss_index)):
        return LookedAt(flaw=f"is not what it says it is ({made_as.factory})")
    rows = connection.execute("SELECT passage_id FROM vectors ORDER BY passage_id")
    wanted = np.fromiter((row[0] for row in rows), dtype=np.int64)
    ids = held_ids(faiss_index)
    missing, spare = len(np.setdiff1d(wanted, ids)), len(np.setdiff1d(ids, wanted))
    if missing or (spare and made_as.is_exact):  # other types may be unable to remove
        return LookedAt(
            flaw=f"lacks {missing} of {len(wanted)} passages, has {spare} that are none"
        )
    differing = _differing(faiss_index, connection, dimension) if made_as.is_exact else frozenset()
    if differing:
        return LookedAt(
            flaw=f"{len(differing)} vectors are others than in the catalogue", differing=differing
        )
    return LookedAt(told=f"{len(wanted)} vectors ({made_as.factory})", spare=spare)


def _differing(
    faiss_index: FaissIndex, connection: sqlite3.Connection, dimension: int
) -> frozenset[int]:
    import numpy as np

    rows = connection.execute("SELECT passage_id, vector FROM vectors")
    differing: set[int] = set()
    while batch := rows.fetchmany(_BATCH_ROWS):
        ids = np.array([row[0] for row in batch], dtype=np.int64)
        held: NDArray[np.float32] = faiss_index.reconstruct_batch(ids)
        differing.update(
            passage_id
            for (passage_id, blob), row in zip(batch, held.astype("<f4"), strict=True)
            if blob != row.tobytes()
        )
    return frozenset(differing)
