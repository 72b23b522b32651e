"""Documents → passages → vectors, with one encoder that is loaded when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ragcli.corpus.chunking import CHUNKER_VERSION, Chunker
from ragcli.engine.encoders import load_named
from ragcli.records import Document, Passage
from ragcli.retrieval.dense import text_to_encode
from ragcli.store import IndexFingerprint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragcli.encoder import Encoder, EncoderFingerprint

PASSAGE_TOKENS = 200
"""Longest passage; the encoder's window also has to hold its title and heading."""

KEPT_PRIMITIVES = "32"
"""What oneDNN, with which torch multiplies, keeps compiled: by default 1,024 shapes of batches.

Passages come in ever new shapes. Over 6,000 of them the default took 165 MB more; it is faster by
some 5 % (28.4 s instead of 30.0 for 2,560 passages, the mean of six on a noisy machine).
"""


class Embedder:
    """Cuts and embeds documents for an index; ``name`` is the encoder's, ``None`` the default."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder; raises ``ModelError`` when it cannot be loaded."""
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KEPT_PRIMITIVES)
        return load_named(self._name)

    @cached_property
    def encoder_fingerprint(self) -> EncoderFingerprint:
        """Who the encoder is; the default one is known without loading it."""
        from ragcli.encoder import default_fingerprint

        default = default_fingerprint()
        return default if self._name in (None, default.name) else self.encoder.fingerprint

    @property
    def max_tokens(self) -> int:
        """Longest passage in tokens: ``PASSAGE_TOKENS``, or 4/5 of a smaller encoder's window."""
        return min(PASSAGE_TOKENS, self.encoder_fingerprint.max_tokens * 4 // 5)

    @property
    def index_fingerprint(self) -> IndexFingerprint:
        """What an index must have been made by for this encoder's vectors to belong in it."""
        made_by = self.encoder_fingerprint
        return IndexFingerprint(
            encoder_name=made_by.name,
            encoder_revision=made_by.revision,
            dimension=made_by.dimension,
            query_prompt=made_by.query_prompt,
            passage_prompt=made_by.passage_prompt,
            max_tokens=self.max_tokens,
            chunker_version=CHUNKER_VERSION,
        )

    @cached_property
    def _chunker(self) -> Chunker:
        from ragcli.encoder import default_fingerprint, default_tokenizer

        is_default = self._name in (None, default_fingerprint().name)
        # The default one's is there before its network is loaded.
        return Chunker(
            default_tokenizer() if is_default else self.encoder.tokenizer, self.max_tokens
        )

    def tokenizer_json(self) -> str:
        """The tokenizer that passages are measured with, as JSON."""
        return self._chunker.tokenizer.to_str()

    def split(self, document: Document) -> list[Passage]:
        """Cut ``document`` into passages that rebuild its text."""
        return self._chunker.split(document)

    def embed(self, passages: Sequence[tuple[Document, Passage]]) -> NDArray[np.float32]:
        """Return the unit vectors ``(n_passages, dimension)`` of passages of documents."""
        texts = [text_to_encode(document.title, passage) for document, passage in passages]
        return self.encoder.encode_passages(texts)
