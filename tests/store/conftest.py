"""Small sources with vectors of four components, and what a search over them must find."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragcli.records import Document, Heading, Passage
from ragcli.store import INCOMPLETE, EmbeddedDocument, Index, IndexFingerprint, SourceState
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


class Shelf:
    """Files whose passages are sentences, and whose vectors can be made anew from their texts."""

    fingerprint = Bench.fingerprint
    passages_encoded = 0

    def texts(self) -> dict[str, list[str]]:
        """Path -> the texts of its documents; the book spans many pages of the database."""
        files = {f"notes/{number:02}.txt": [self._text(f"note {number}", 4)] for number in range(9)}
        files["book.txt"] = [self._text("book", 600)]
        files["facts.jsonl"] = [self._text(f"fact {number}", 1) for number in range(60)]
        files["empty.txt"] = [" \n"]
        return files

    def fill(self, folder: Path) -> None:
        """Make an index of them in ``folder``."""
        with Index.create_or_open(folder, self.fingerprint) as index:
            for path, texts in self.texts().items():
                self.put(index, path, texts)
            index.prefer("colour", "green")
            index.commit()

    def put(self, index: Index, path: str, texts: Sequence[str]) -> None:
        documents = [self._document(path, text, number) for number, text in enumerate(texts)]
        embedded: list[EmbeddedDocument] = []
        for document in documents:
            passages = self.split(document)
            vectors = self.encode([(document, passage) for passage in passages])
            embedded.append((document, passages, vectors))
        state = SourceState(path, f"hash of {path}", 10, 1_700_000_000_000_000_000, "settings")
        index.replace_source(state, embedded)

    def split(self, document: Document) -> list[Passage]:
        """Sentence by sentence; none of a text that is blank."""
        if not document.text.strip():
            return []
        ends = [at + 1 for at, sign in enumerate(document.text) if sign == "."]
        ends = [*ends[:-1], len(document.text)] if ends else [len(document.text)]
        starts = [0, *ends[:-1]]
        return [
            Passage(start, end, document.text[start:end], "Chapter", 1 + number)
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]

    def encode(self, pairs: Sequence[tuple[Document, Passage]]) -> Vectors:
        """Vectors that the words alone decide on."""
        self.passages_encoded += len(pairs)
        rows = [self.vector(document.title, passage.text) for document, passage in pairs]
        return np.array(rows, dtype=np.float32).reshape(len(pairs), DIMENSION)

    def vector(self, title: str, text: str) -> Vectors:
        seed = zlib.crc32(f"{title}|{text}".encode("utf-8", "replace"))
        drawn = np.random.default_rng(seed).standard_normal(DIMENSION)
        unit: Vectors = (drawn / np.linalg.norm(drawn)).astype(np.float32)
        return unit

    def held(self, folder: Path) -> dict[str, tuple[bool, list[str]]]:
        """What the index holds: path -> whether it is certain to be all, and its texts."""
        with Index.open(folder) as index:
            return {
                source.path: (
                    source.content_hash != INCOMPLETE,
                    [document.text for document in index.documents(source.path)],
                )
                for source in index.sources()
            }

    def assert_searchable(self, folder: Path) -> None:
        """Every passage that the index holds is found by its vector and by its words."""
        with Index.open(folder) as index:
            for path in index.sources():
                for document in index.documents(path.path):
                    for passage in self.split(document)[:3]:
                        query = self.vector(document.title, passage.text)[None]
                        [(best, score)] = index.search(query, 1)[0]
                        assert score == pytest.approx(1, abs=1e-5)
                        assert index.passages([best])[0].passage.text == passage.text
            for text in ("note 3 sentence 2", "fact 41 sentence 0", "book sentence 17"):
                for found, _ in index.search_words(f'"{text}"', 1):
                    assert text in index.passages([found])[0].passage.text

    def _text(self, name: str, sentences: int) -> str:
        return "".join(
            f"{name} sentence {number} told quite über again in {zlib.crc32(name.encode())} words."
            for number in range(sentences)
        )

    def _document(self, path: str, text: str, number: int) -> Document:
        is_record = path.endswith(".jsonl")
        return Document(
            f"{path}#{number}" if is_record else path,
            path,
            text,
            f"hash of {path}",
            f"Title of {path}",
            1,
            is_record,
            (Heading(0, 1, "Chapter"),),
            (0,),
            {"year": 2020 + number},
        )


@pytest.fixture(scope="session")
def shelf() -> Shelf:
    return Shelf()
