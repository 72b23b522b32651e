"""Small sources with vectors of four components, and what a search over them must find."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ragcli.records import Document, Passage
from ragcli.store import EmbeddedDocument, Index, IndexFingerprint, SourceState
from ragcli.store.rows import to_sql
from ragcli.store.words import TITLE_WEIGHT, TOKENIZER

Vectors = NDArray[np.float32]
DIMENSION = 4


class Bench:
    """What the tests of this folder build indexes from."""

    fingerprint = IndexFingerprint("tiny", "revision-1", DIMENSION, "", "", 200, 1)

    def source(self, path: str, content_hash: str = "hash") -> SourceState:
        return SourceState(path, content_hash, size=10, modified_ns=1_700_000_000_000_000_000)

    def embedded(self, path: str, vectors: Vectors, name: str = "0") -> EmbeddedDocument:
        """A document ``name`` with a passage for each vector; every passage's text is its own."""
        texts = [f"{path} {name} {position}." for position in range(len(vectors))]
        ends = np.cumsum([len(text) for text in texts]).tolist()
        passages = [
            Passage(end - len(text), end, text) for text, end in zip(texts, ends, strict=True)
        ]
        return Document(f"{path}#{name}", path, "".join(texts), "hash"), passages, vectors

    def fill(self, index: Index, path: str, vectors: Vectors, name: str = "0") -> None:
        index.replace_source(self.source(path), [self.embedded(path, vectors, name)])

    def unit(self, count: int, seed: int, dimension: int = DIMENSION) -> Vectors:
        vectors = np.random.default_rng(seed).standard_normal((count, dimension))
        unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("f4")
        return unit

    def ranked(
        self, by_id: Mapping[int, Vectors], query: Vectors, k: int
    ) -> list[tuple[int, float]]:
        """The best ``k`` by brute force, ties in the order of the ids."""
        scored = [
            (float(np.float32((query.astype("f8") * vector.astype("f8")).sum())), passage_id)
            for passage_id, vector in by_id.items()
        ]
        best = sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:k]
        return [(passage_id, score) for score, passage_id in best]

    def assert_true(
        self, hits: list[tuple[int, float]], by_id: Mapping[int, Vectors], query: Vectors, k: int
    ) -> None:
        """As many hits as there can be, each once, with its true score, in order; ties by id."""
        assert len(hits) == min(k, len(by_id))
        assert hits == self.ranked({i: by_id[i] for i, _ in hits}, query, k)

    def assert_holds(
        self, index: Index, by_text: Mapping[str, Vectors], *, exactly: bool = True
    ) -> None:
        """The index holds exactly these passages, and searches them as brute force does.

        Not ``exactly``: some of the best may be missed, but what is found is true.
        """
        queries = np.vstack([self.unit(3, seed=99), *by_text.values()])
        everything = index.search(queries[:1], len(by_text) + 5)[0]
        ids = [passage_id for passage_id, _ in everything]
        texts = [stored.passage.text for stored in index.passages(ids)]
        assert sorted(texts) == sorted(by_text)
        by_id_text = dict(zip(ids, texts, strict=True))
        by_id = {i: by_text[text] for i, text in zip(ids, texts, strict=True)}
        for k in (1, 3, len(by_text) + 5):
            found = index.search(queries, k)
            for hits, query in zip(found, queries, strict=True):
                self.assert_true(hits, by_id, query, k)
            if exactly:
                assert found == [self.ranked(by_id, query, k) for query in queries]
        # A filter that leaves ten passages that match finds all ten.
        some = {passage_id: by_id[passage_id] for passage_id in ids[::2]}
        assert index.search(queries, len(by_text) + 5, frozenset(some)) == [
            self.ranked(some, query, len(by_text) + 5) for query in queries
        ]
        # The inverted index holds the words of these passages and of no other.
        found = index.search_words("0 OR 1 OR 2 OR 3", len(by_text) + 5)
        assert {i for i, _ in found} <= set(ids)
        for i, text in by_id_text.items():
            path, name, position = text.rstrip(".").rsplit(" ", 2)
            if not path.isprintable():  # no Unicode: its words cannot be asked for
                continue
            exact = f'"{path} {name} {position}"'
            assert i in {found_id for found_id, _ in index.search_words(exact, len(by_text))}
        self.assert_scores_documents(index, ids)
        assert index.summary().passages == len(by_text)

    def assert_scores_documents(self, index: Index, ids: Sequence[int]) -> None:
        """Documents' words score as in an inverted index that is built anew of their texts."""
        anew = sqlite3.connect(":memory:")
        anew.execute(f"CREATE VIRTUAL TABLE texts USING fts5(title, text, tokenize='{TOKENIZER}')")
        documents = [d for source in index.sources() for d in index.documents(source.path)]
        values = [(to_sql(document.title), to_sql(document.text)) for document in documents]
        anew.executemany("INSERT INTO texts VALUES (CAST(? AS TEXT), CAST(? AS TEXT))", values)
        expression = "txt OR 1 OR 2"
        rows = anew.execute(
            "SELECT rowid, -bm25(texts, ?, 1.0) FROM texts WHERE texts MATCH ?",
            (TITLE_WEIGHT, expression),
        )
        expected = {documents[row - 1].document_id: score for row, score in rows}
        found = index.score_document_words(expression, ids)
        of_passage = {p.passage_id: p.document_id for p in index.passages(ids)}
        assert found == pytest.approx(
            {i: expected[name] for i, name in of_passage.items() if name in expected}
        )

    def by_text(self, sources: Mapping[str, tuple[str, Vectors]]) -> dict[str, Vectors]:
        """Passage text -> vector, for path -> (document name, vectors)."""
        return {
            f"{path} {name} {position}.": vector
            for path, (name, vectors) in sources.items()
            for position, vector in enumerate(vectors)
        }


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()
