"""Contexts that come with a question, cut into passages as an index would cut them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ragcli.corpus.chunking import Chunker
from ragcli.engine.embedding import PASSAGE_TOKENS
from ragcli.records import Document, StoredPassage


def passages_of(contexts: Sequence[str], name: str) -> list[StoredPassage]:
    """Cut every context into passages; their ids count from 1, offsets are those of the context.

    ``name`` stands for the path; with several contexts each has its number behind it.
    """
    from ragcli.encoder import minilm

    chunker = Chunker(minilm.load_tokenizer(), PASSAGE_TOKENS)
    stored: list[StoredPassage] = []
    for number, text in enumerate(contexts, start=1):
        label = name if len(contexts) == 1 else f"{name}#{number}"
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        document = Document(label, label, text, digest, first_line=1)
        for passage in chunker.split(document):
            stored.append(
                StoredPassage(len(stored) + 1, label, label, "", is_record=False, passage=passage)
            )
    return stored
