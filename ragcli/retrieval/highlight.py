"""The sentence of a passage that matches a query best: by cosine, or by shared words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragcli.corpus.sentences import sentence_spans
from ragcli.retrieval.lexical import telling_words

if TYPE_CHECKING:
    from ragcli.encoder import Encoder

LEAST_WORDS = 3
STEM_LETTERS = 5
"""Words that begin with the same letters, as many as these, count as one."""


def best_sentence(encoder: Encoder | None, query: str, text: str) -> tuple[int, int]:
    """Return the span of the sentence of ``text`` nearest to ``query``, the first of equals.

    Headings and labels count only in a text that has nothing else: they often repeat the query.
    A text without sentences gives the empty span ``(0, 0)``.
    """
    return best_sentences(encoder, query, [text])[0]


def best_sentences(
    encoder: Encoder | None, query: str, texts: Sequence[str]
) -> list[tuple[int, int]]:
    """Return ``best_sentence`` of each text, encoding all their sentences in one go.

    Without an encoder the sentence with the most of the query's words is the best.
    """
    spans = [_candidates(text) for text in texts]
    sentences = [
        text[start:end] for text, found in zip(texts, spans, strict=True) for start, end in found
    ]
    if not sentences:
        return [(0, 0)] * len(texts)
    scores = (
        _shared_words(query, sentences)
        if encoder is None
        else encoder.encode_passages(sentences) @ encoder.encode_queries([query])[0]
    )
    best, first = [], 0
    for found in spans:
        own = scores[first : first + len(found)]
        best.append(found[int(own.argmax())] if found else (0, 0))
        first += len(found)
    return best


def _shared_words(query: str, sentences: Sequence[str]) -> NDArray[np.float32]:
    """How many of the query's telling words, or words that begin alike, each sentence has."""
    stems = {word[:STEM_LETTERS] for word in telling_words(query)}
    return np.array(
        [
            len(stems & {word[:STEM_LETTERS] for word in telling_words(sentence)})
            for sentence in sentences
        ],
        dtype=np.float32,
    )


def _candidates(text: str) -> list[tuple[int, int]]:
    spans = sentence_spans(text)
    return [span for span in spans if not _is_label(text, *span)] or spans


def _is_label(text: str, start: int, end: int) -> bool:
    """Whether a span is a Markdown heading or has too few words to say anything."""
    line_start = text.rfind("\n", 0, start) + 1
    return text.startswith("#", line_start) or len(text[start:end].split()) < LEAST_WORDS
