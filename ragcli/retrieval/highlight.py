"""What of a passage matched a query: the best sentence, and the words in it.

With an encoder both come from token-to-token attention (see ``interaction``): the words of the
query look for their like in each sentence. Without one, from shared words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ragcli.corpus.sentences import sentence_spans
from ragcli.records import Highlight
from ragcli.retrieval.interaction import WordWeights, attend, query_tokens
from ragcli.retrieval.lexical import STOP_WORDS, telling_words

if TYPE_CHECKING:
    from ragcli.encoder import Encoder, TokenStates

LEAST_WORDS = 3
STEM_LETTERS = 5
"""Words that begin with the same letters, as many as these, count as one."""
LEAST_COSINE = 0.55
"""From here on a word of the passage matches a word of the query."""

_ENCODED_TOGETHER = 32  # texts, whose token states are in memory at once
_WORD = re.compile(r"\w+")
_Span = tuple[int, int]


def highlight_by_attention(
    encoder: Encoder, query: str, words: WordWeights, texts: Sequence[str]
) -> list[Highlight]:
    """Highlight each text, encoding many in one go; ``words`` are the query's telling ones.

    Headings and labels count only in a text that has nothing else: they often repeat the query.
    A text without sentences gives the empty span ``(0, 0)``.
    """
    (asked,) = encoder.encode_tokens([query])
    tokens = query_tokens(asked, words)
    found = []
    for text, passage in zip(texts, _encoded(encoder, texts), strict=True):
        cosines = attend(tokens, passage)
        scores = {
            span: float(tokens.weights @ cosines[:, passage.inside(*span)].max(axis=1, initial=-1))
            for span in _candidates(text)
        }
        sentence = max(scores, key=scores.__getitem__, default=(0, 0))
        best = cosines.max(axis=0, initial=-1)
        matched = [
            span
            for span in _words(text, sentence)
            if best[passage.inside(*span)].max(initial=-1) >= LEAST_COSINE
        ]
        found.append(Highlight(sentence, tuple(matched)))
    return found


def highlight_by_words(query: str, texts: Sequence[str]) -> list[Highlight]:
    """Highlight in each text the sentence with the most of the query's words, the first of equals.

    Words that begin alike count as one.
    """
    stems = {word[:STEM_LETTERS] for word in telling_words(query)}
    found = []
    for text in texts:
        matched = {
            span: [
                (start, end)
                for start, end in _words(text, span)
                if text[start:end].casefold()[:STEM_LETTERS] in stems
            ]
            for span in _candidates(text)
        }

        n_stems = {
            span: len({text[start:end].casefold()[:STEM_LETTERS] for start, end in words})
            for span, words in matched.items()
        }
        sentence = max(n_stems, key=n_stems.__getitem__, default=(0, 0))
        found.append(Highlight(sentence, tuple(matched.get(sentence, ()))))
    return found


def _encoded(encoder: Encoder, texts: Sequence[str]) -> Iterator[TokenStates]:
    for first in range(0, len(texts), _ENCODED_TOGETHER):
        yield from encoder.encode_tokens(texts[first : first + _ENCODED_TOGETHER])


def _words(text: str, span: _Span) -> list[_Span]:
    """Characters of each word of a sentence that is no stop word."""
    return [
        match.span()
        for match in _WORD.finditer(text, *span)
        if match.group().casefold() not in STOP_WORDS
    ]


def _candidates(text: str) -> list[_Span]:
    spans = sentence_spans(text)
    return [span for span in spans if not _is_label(text, *span)] or spans


def _is_label(text: str, start: int, end: int) -> bool:
    """Whether a span is a Markdown heading or has too few words to say anything."""
    line_start = text.rfind("\n", 0, start) + 1
    return text.startswith("#", line_start) or len(text[start:end].split()) < LEAST_WORDS
