from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragcli.encoder import TokenStates
from ragcli.reader import Reader
from ragcli.records import Document, Passage
from ragcli.retrieval.models import Models
from ragcli.store import Index, IndexFingerprint, SourceState

DIMENSION = 64
FINGERPRINT = IndexFingerprint("words", "1", DIMENSION, "", "", 200, 1)


class WordEncoder:
    """Small and real: a text's vector counts its words, each in a place chosen by its checksum."""

    def encode_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                vectors[row, zlib.crc32(word.encode()) % DIMENSION] += 1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, 1e-9)

    encode_queries = encode_passages

    def encode_tokens(self, texts: Sequence[str]) -> list[TokenStates]:
        """One token a word, its state the vector of the word alone."""
        encoded = []
        for text in texts:
            words = list(re.finditer(r"\w+", text))
            states = self.encode_passages([word.group() for word in words])
            spans = np.array([word.span() for word in words], dtype=np.int32).reshape(-1, 2)
            encoded.append(TokenStates(states, spans))
        return encoded


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def models(encoder: WordEncoder, reader: Reader) -> Models:
    return Models(encoder, reader)


@pytest.fixture
def index(tmp_path: Path, encoder: WordEncoder) -> Iterator[Index]:
    texts = ["red apple", "green apple", "blue sea", "red apple"]
    folder = tmp_path / ".ragcli"
    with Index.create_or_open(folder, FINGERPRINT) as writer:
        for number, text in enumerate(texts):
            path = f"{number}.txt"
            document = Document(path, path, text, "hash")
            passage = Passage(0, len(text), text)
            vectors = encoder.encode_passages([text])
            writer.replace_source(
                SourceState(path, "hash", len(text), 0), [(document, [passage], vectors)]
            )
        writer.commit()
    with Index.open(folder) as reader:
        yield reader
