from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragcli.records import Document, Heading, Passage
from ragcli.store import (
    SOUND,
    Index,
    SourceState,
    check_folder,
    export_catalogue,
    import_catalogue,
    locked,
)

if TYPE_CHECKING:
    from conftest import Bench
    from numpy.typing import NDArray

PATHS = ("a.md", "b/ü.txt", "c\udcff.pdf")

# Few directions, so that equal scores are common.
_DIRECTIONS = np.array(
    [[1, 0, 0, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0.6, 0.8, 0, 0], [0.5, 0.5, 0.5, 0.5]], "f4"
)
_vectors = st.lists(st.integers(0, len(_DIRECTIONS) - 1), max_size=7).map(
    lambda rows: _DIRECTIONS[rows]
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), st.sampled_from(PATHS), _vectors),
        st.tuples(st.just("fail"), st.sampled_from(PATHS), _vectors),
        st.tuples(st.just("remove"), st.sampled_from(PATHS)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("rebuild")),
        st.tuples(st.just("search")),
        st.tuples(st.just("reopen"), st.sampled_from(["as is", "missing", "torn", "stale"])),
    ),
    max_size=25,
)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "index"


class _Model:
    """An index beside what it should hold: path -> (document name, vectors)."""

    def __init__(self, folder: Path, bench: Bench, index_type: str) -> None:
        self.folder = folder
        self.bench = bench
        self.pending: dict[str, tuple[str, NDArray[np.float32]]] = {}
        self.committed: dict[str, tuple[str, NDArray[np.float32]]] = {}
        self.versions = 0
        self.earlier_file: bytes | None = None
        self.exactly = index_type == "flat"
        self.index = Index.create_or_open(folder, bench.fingerprint)
        self.index.choose(index_type)
        self.index.commit()

    def _assert_holds(
        self, index: Index, sources: dict[str, tuple[str, NDArray[np.float32]]]
    ) -> None:
        self.bench.assert_holds(index, self.bench.by_text(sources), exactly=self.exactly)

    def replace(self, path: str, vectors: NDArray[np.float32]) -> None:
        self.versions += 1
        self.pending[path] = (str(self.versions), vectors)
        self.bench.fill(self.index, path, vectors, str(self.versions))

    def fail(self, path: str, vectors: NDArray[np.float32]) -> None:
        good = self.bench.embedded(path, vectors)
        bad = Document("bad", path, "", "hash", metadata={"key": object()})  # type: ignore[dict-item]
        with pytest.raises(TypeError):
            self.index.replace_source(
                self.bench.source(path), [good, (bad, [], np.zeros((0, 4), np.float32))]
            )

    def remove(self, path: str) -> None:
        _, vectors = self.pending.pop(path, ("", _DIRECTIONS[:0]))
        assert self.index.remove_source(path) == len(vectors)

    def commit(self) -> None:
        self.index.commit()
        self.index.adopt()
        self.committed = dict(self.pending)

    def rebuild(self) -> None:
        self.index.close()
        self.index = Index.create_or_open(self.folder, self.bench.fingerprint, rebuild=True)
        self.pending = {}

    def search(self) -> None:
        self._assert_holds(self.index, self.pending)
        with Index.open(self.folder) as reader:
            self._assert_holds(reader, self.committed)

    def reopen(self, damage: str) -> None:
        self.index.close()
        self.pending = dict(self.committed)
        self._damage(self.folder / "vectors.faiss", damage)
        with Index.open(self.folder) as reader:
            self._assert_holds(reader, self.committed)
        self.index = Index.create_or_open(self.folder, self.bench.fingerprint)

    def _damage(self, file: Path, damage: str) -> None:
        whole = file.read_bytes()
        if damage == "missing":
            file.unlink()
        elif damage == "torn":
            file.write_bytes(whole[: len(whole) // 2] + b"\0" * (len(whole) - len(whole) // 2))
        elif damage == "stale" and self.earlier_file is not None:
            file.write_bytes(self.earlier_file)
        self.earlier_file = whole


# A handful of vectors is enough to train these.
INDEX_TYPES = ("flat", "ivf", "IVF2,Flat", "IVF2,PQ2x2", "PCA2,IVF2,SQ8", "HNSW4,Flat", "SQ8")


@pytest.mark.parametrize("index_type", INDEX_TYPES)
@settings(max_examples=40)
@given(steps=_steps)
def test_search_agrees_with_brute_force_after_any_sequence(
    bench: Bench, index_type: str, steps: list[tuple[Any, ...]]
) -> None:
    """Exactly for flat; of the others every hit is true, and only which are found may differ."""
    with _folder() as folder:
        model = _Model(folder, bench, index_type)
        try:
            for name, *arguments in steps:
                getattr(model, name)(*arguments)
            model.search()
        finally:
            model.index.close()
        assert [one for one in check_folder(folder) if one.state != SOUND] == []


_any_text = st.text(st.characters(exclude_categories=()), max_size=40)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e6, 1e6) | _any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_any_text, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def _documents(draw: st.DrawFn) -> Document:
    text = draw(_any_text)
    offsets = st.integers(0, len(text))
    return Document(
        document_id=draw(_any_text),
        path=draw(_any_text),
        text=text,
        content_hash=draw(st.text("0123456789abcdef")),
        title=draw(_any_text),
        first_line=draw(st.none() | st.integers(1, 10**9)),
        is_record=draw(st.booleans()),
        headings=tuple(
            draw(st.lists(st.builds(Heading, offsets, st.integers(1, 6), _any_text), max_size=3))
        ),
        page_starts=tuple(sorted(draw(st.lists(offsets, max_size=4)))),
        metadata=draw(st.dictionaries(_any_text, _json, max_size=3)),
    )


@settings(max_examples=60)
@given(document=_documents(), data=st.data())
def test_what_is_stored_comes_back_as_it_was(
    bench: Bench, document: Document, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(document.text)))
    end = data.draw(st.integers(start, len(document.text)))
    passage = Passage(start, end, document.text[start:end], data.draw(_any_text), 3, 1)
    state = SourceState(document.path, "hash", 5, 7, data.draw(_any_text))
    with _folder() as folder:
        with Index.create_or_open(folder, bench.fingerprint) as index:
            index.replace_source(state, [(document, [passage], bench.unit(1, seed=0))])
            index.commit()
        moved = shutil.move(folder, folder.with_name("moved elsewhere"))
        with Index.open(moved) as index:
            assert index.source(document.path) == state
            assert index.sources() == [state]
            assert index.documents(document.path) == [document]
            [[(passage_id, _)]] = index.search(bench.unit(1, seed=1), 2)
            [stored] = index.passages([passage_id])
    assert (stored.passage, stored.path, stored.title) == (passage, document.path, document.title)
    assert (stored.document_id, stored.is_record) == (document.document_id, document.is_record)
    assert stored.metadata == document.metadata
    assert stored.page_breaks == tuple(p - start for p in document.page_starts if start < p < end)


@settings(max_examples=60)
@given(document=_documents(), data=st.data())
def test_whatever_is_stored_is_sound_and_arrives_elsewhere_as_it_was(
    bench: Bench, document: Document, data: st.DataObject
) -> None:
    """Also words that are no Unicode, which SQLite keeps as bytes."""
    text, passages = document.text, []
    if text.strip():
        at = data.draw(st.integers(0, len(text)))
        spans = [(0, at), (at, len(text))] if 0 < at < len(text) else [(0, len(text))]
        passages = [
            Passage(start, end, text[start:end], data.draw(_any_text), 1) for start, end in spans
        ]
    state = SourceState(document.path, "hash", 5, -7, data.draw(_any_text))
    with _folder() as folder:
        with Index.create_or_open(folder, bench.fingerprint) as index:
            vectors = bench.unit(len(passages), seed=0)
            index.replace_source(state, [(document, passages, vectors)])
            index.commit()
        assert [one for one in check_folder(folder) if one.state != SOUND] == []
        file, there = folder.with_name("file"), folder.with_name("there")
        export_catalogue(folder, file)
        with locked(there):
            import_catalogue(file, there, replace=False)
        with Index.open(there) as index:
            assert index.sources() == [state]
            assert index.documents(document.path) == [document]
