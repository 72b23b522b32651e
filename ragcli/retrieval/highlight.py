"""The sentence of a passage that matches a query best, by cosine of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragcli.corpus.sentences import sentence_spans

if TYPE_CHECKING:
    from ragcli.encoder import Encoder

LEAST_WORDS = 3


def best_sentence(encoder: Encoder, query: str, text: str) -> tuple[int, int]:
    """Return the span of the sentence of ``text`` nearest to ``query``, the first of equals.

    Headings and labels count only in a text that has nothing else: they often repeat the query.
    A text without sentences gives the empty span ``(0, 0)``.
    """
    return best_sentences(encoder, query, [text])[0]


def best_sentences(encoder: Encoder, query: str, texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return ``best_sentence`` of each text, encoding all their sentences in one go."""
    spans = [_candidates(text) for text in texts]
    sentences = [
        text[start:end] for text, found in zip(texts, spans, strict=True) for start, end in found
    ]
    if not sentences:
        return [(0, 0)] * len(texts)
    scores = encoder.encode_passages(sentences) @ encoder.encode_queries([query])[0]
    best, first = [], 0
    for found in spans:
        own = scores[first : first + len(found)]
        best.append(found[int(own.argmax())] if found else (0, 0))
        first += len(found)
    return best


def _candidates(text: str) -> list[tuple[int, int]]:
    spans = sentence_spans(text)
    return [span for span in spans if not _is_label(text, *span)] or spans


def _is_label(text: str, start: int, end: int) -> bool:
    """Whether a span is a Markdown heading or has too few words to say anything."""
    line_start = text.rfind("\n", 0, start) + 1
    return text.startswith("#", line_start) or len(text[start:end].split()) < LEAST_WORDS
