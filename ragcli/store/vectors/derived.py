"""The vectors of one index folder, derived from its catalogue and kept in step with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ragcli.store.vectors.derivation import Derivation, flat_derivation
from ragcli.store.vectors.file import Footer, VectorFile
from ragcli.store.vectors.kinds import AUTO, DEFAULT_RECALL, FLAT, factory_string, resolve

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ragcli.records import Scores
    from ragcli.store.catalogue import Catalogue, Manifest
    from ragcli.store.vectors.approximate import ApproximateVectors
    from ragcli.store.vectors.flat import FlatVectors
    from ragcli.store.vectors.library import FaissIndex
    from ragcli.store.vectors.stored import StoredVectors

    _Derived = FlatVectors | ApproximateVectors

CHOICE, RECALL = "index_type", "recall"
"""Names of the preferences that say what type of index a person wants, and how good a one."""

_SAVE_SHARE = 8  # while writing, vectors.faiss is saved when 1/8 of it changed: linear in total


class Searchable(Protocol):
    """Vectors that can be searched."""

    def search(
        self, queries: NDArray[np.float32], k: int, among: frozenset[int] | None = None
    ) -> list[Scores]:
        """The best ``k`` passages ``among`` these for each of the queries ``(n, dimension)``."""


class DerivedVectors:
    """What is searched, and the file it is kept in.

    A writer trains, tunes and saves; a reader takes what it finds. Where a reader finds nothing
    that it can use, it searches the catalogue's own vectors.
    """

    def __init__(
        self, folder: Path, catalogue: Catalogue, manifest: Manifest, *, writing: bool
    ) -> None:
        self._file = VectorFile(folder)
        self._catalogue = catalogue
        self._manifest = manifest
        self._writing = writing
        self._held: _Derived | StoredVectors | None = None
        self._in_step = True  # what is held, or else the file, has exactly the passages shown
        self._unsaved = 0  # passages added or removed since the file was last in step

    # -- what a writer tells ---------------------------------------------------------------

    def settle(self) -> None:
        """Settle, as the one writer, what earlier writers left."""
        self._file.remove_leftovers()
        footer = self._file.footer()
        ours = footer is not None and footer.lineage == self._manifest.lineage
        if footer is not None and ours and footer.generation > self._manifest.generation:
            # The catalogue came back from a backup: ids in the file will be given out again.
            self._file.discard()
            footer = None
        if footer is None or not ours or footer.generation != self._manifest.generation:
            self.changed(1)

    def changed(self, count: int) -> None:
        """So many passages were added or removed."""
        if count:
            self._unsaved += count
            self._in_step = False

    def drop(self, manifest: Manifest) -> None:
        """Changes were dropped, and ids of dropped passages will be given out again."""
        self._manifest = manifest
        self._held = None
        self._in_step = False

    def committed(self, manifest: Manifest) -> None:
        """The changes were committed; saves when much has changed since the last time."""
        self._manifest = manifest
        if self._unsaved * _SAVE_SHARE > self._catalogue.counts()[2]:
            self._save()

    def save_if_due(self) -> None:
        """Save when anything has changed, or when the file is not of the type that is wanted."""
        if self._unsaved or not self._is_as_wanted():
            self._in_step = False
            self._save()

    # -- what anybody asks -----------------------------------------------------------------

    def derivation(self) -> Derivation | None:
        """How the file was made; ``None`` when there is none of this index. Loads nothing."""
        footer = self._file.footer()
        return footer.derivation if footer and footer.lineage == self._manifest.lineage else None

    def current(self) -> Searchable:
        """The vectors of exactly the passages that the catalogue shows here."""
        if self._held is None:
            self._held = self._load()
        if not self._in_step:
            self._held = self._brought_in_step()
            self._in_step = True
        return self._held

    # -- loading ---------------------------------------------------------------------------

    def _load(self) -> _Derived | StoredVectors:
        def usable(footer: Footer) -> bool:
            ours = footer.lineage == self._manifest.lineage
            return ours and not (self._writing and self._is_outgrown(footer.derivation))

        def mapped(footer: Footer) -> bool:
            current = footer.generation == self._manifest.generation
            return not self._writing and (current or not footer.derivation.is_exact)

        loaded = self._file.load(usable, mapped)
        found = None if loaded is None else self._opened(*loaded)
        if found is not None:
            return found
        self._in_step = False
        return self._flat() if self._writing else self._mended()

    def _opened(
        self,
        faiss_index: FaissIndex,
        footer: Footer,
    ) -> _Derived | StoredVectors | None:
        """What was loaded, as far as it is needed; ``None`` when it is not what the footer says."""
        from ragcli.store.vectors.flat import is_flat

        if faiss_index.d != self._manifest.fingerprint.dimension:
            return None
        if footer.derivation.is_exact:
            if not is_flat(faiss_index):
                return None
            self._in_step &= footer.generation == self._manifest.generation
            return self._flat(faiss_index, footer.derivation)
        if not self._writing and footer.generation > self._manifest.generation:
            return self._stored  # passages that this reader still sees are gone from the file
        from ragcli.store.vectors.approximate import ApproximateVectors

        recent: frozenset[int] = frozenset()
        if footer.generation != self._manifest.generation:
            self._in_step &= not self._writing
            if not self._writing:
                recent = frozenset(self._catalogue.passage_ids(above=footer.highest_id))
        return ApproximateVectors(faiss_index, footer.derivation, self._stored, recent)

    def _mended(self) -> FlatVectors | StoredVectors:
        """What a reader searches that has no file: it makes one when that takes no training."""
        self._in_step = True
        ids = self._stored.ids()
        if self._wanted_kind(len(ids), None) != FLAT:
            return self._stored
        vectors = self._flat()
        vectors.bring_in_step(ids, self._stored)
        self._write(vectors)
        return vectors

    @property
    def _stored(self) -> StoredVectors:
        import numpy as np

        from ragcli.store.vectors.stored import StoredVectors

        return StoredVectors(
            self._manifest.fingerprint.dimension,
            self._catalogue.vectors,
            lambda: np.fromiter(self._catalogue.passage_ids(), dtype=np.int64),
        )

    def _flat(
        self,
        faiss_index: FaissIndex = None,
        derivation: Derivation | None = None,
    ) -> FlatVectors:
        from ragcli.store.vectors.flat import FlatVectors

        return FlatVectors(self._manifest.fingerprint.dimension, faiss_index, derivation)

    # -- deriving --------------------------------------------------------------------------

    def _wanted_kind(self, count: int, current: str | None) -> str:
        choice = self._catalogue.preferences().get(CHOICE, AUTO)
        return resolve(choice, count, self._manifest.fingerprint.dimension, current)

    def _wanted_recall(self) -> float:
        return float(self._catalogue.preferences().get(RECALL, DEFAULT_RECALL))

    def _is_as_wanted(self) -> bool:
        footer = self._file.footer()
        if footer is None:
            return False
        made_as = footer.derivation
        return not (self._is_outgrown(made_as) or made_as.needs_tuning(self._wanted_recall()))

    def _is_outgrown(self, made_as: Derivation) -> bool:
        count = self._catalogue.counts()[2]
        return made_as.needs_building(self._wanted_kind(count, made_as.kind), count)

    def _brought_in_step(self) -> _Derived:
        wanted = self._stored.ids()
        if not self._updated(wanted):
            self._held = None  # what is replaced need not stay in memory
            self._held = self._built(wanted)
        return self._tuned(self._derived, wanted)

    @property
    def _derived(self) -> _Derived:
        """What is held, once that is known to be no reader's last resort."""
        from ragcli.store.vectors.stored import StoredVectors

        if self._held is None or isinstance(self._held, StoredVectors):
            raise TypeError("the catalogue's own vectors are always in step and never saved")
        return self._held

    def _updated(self, wanted: NDArray[np.int64]) -> bool:
        """Bring what is held in step; ``False`` when it has to be built anew for that."""
        from ragcli.store.vectors.flat import FlatVectors

        held = self._derived
        kind = self._wanted_kind(len(wanted), held.derivation.kind)
        if self._writing and held.derivation.needs_building(kind, len(wanted)):
            return False
        if isinstance(held, FlatVectors):
            held.bring_in_step(wanted, self._stored)
            return True
        return held.bring_in_step(wanted)

    def _built(self, wanted: NDArray[np.int64]) -> _Derived:
        """A new index of the type that is wanted; flat when there are too few to train it."""
        from ragcli.store.vectors.approximate import ApproximateVectors
        from ragcli.store.vectors.training import build, empty_index, least_passages

        dimension, enough_at = self._manifest.fingerprint.dimension, None
        kind = self._wanted_kind(len(wanted), None)
        if kind != FLAT:
            factory = factory_string(kind, len(wanted), dimension)
            faiss_index = empty_index(factory, dimension)
            enough_at = least_passages(faiss_index)
            try:
                if len(wanted) >= enough_at:
                    build(faiss_index, wanted, self._stored)
                    made_as = Derivation(kind, factory, len(wanted))
                    return ApproximateVectors(faiss_index, made_as, self._stored)
            except RuntimeError:  # a type that needs more than could be known
                enough_at = 2 * len(wanted)
        flat = self._flat(derivation=flat_derivation(kind, len(wanted), enough_at))
        flat.bring_in_step(wanted, self._stored)
        return flat

    def _tuned(self, vectors: _Derived, wanted: NDArray[np.int64]) -> _Derived:
        from ragcli.store.vectors.flat import FlatVectors
        from ragcli.store.vectors.tuning import tune

        recall = self._wanted_recall()
        if not isinstance(vectors, FlatVectors) and vectors.derivation.needs_tuning(recall):
            vectors.derivation = tune(vectors, wanted, self._stored, recall)
        return vectors

    # -- saving ----------------------------------------------------------------------------

    def _save(self) -> None:
        self.current()
        if self._write(self._derived):
            self._unsaved = 0

    def _write(self, vectors: _Derived) -> bool:
        ids = vectors.ids()
        highest = int(ids.max()) if len(ids) else 0
        made_as = vectors.derivation
        if made_as.is_exact:
            made_as = replace(made_as, passages=len(vectors))
        footer = Footer(self._manifest.lineage, self._manifest.generation, highest, made_as)
        return self._file.save(vectors.faiss_index, footer)
