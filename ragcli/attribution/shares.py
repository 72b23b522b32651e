"""Shares of an answer by context and sentence, and where each of its tokens was copied from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragcli.attribution.methods import DEFAULT_METHOD, Labels, by_source, score_sources
from ragcli.corpus.sentences import sentence_spans
from ragcli.records import Attribution, Generation, SentenceShare, TokenShare

LEAST_SHARE = 1e-4
"""Sentences owed less than this are left out."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters ``[start, end)`` of a context."""

    context: int
    start: int
    end: int


def attribute(
    generation: Generation, contexts: Sequence[str], method: str = DEFAULT_METHOD
) -> Attribution:
    """Share the answer out among ``contexts``, the texts the generation was read from.

    What the copy gate leaves is owed to the vocabulary; the rest to the contexts in proportion to
    the method's scores above 0, and likewise to the sentences. So all shares are non-negative, and
    those of the contexts and the vocabulary sum to 1.
    """
    if not generation.tokens:
        return Attribution(method, (0.0,) * len(contexts), 1.0, (), ())
    copied = float(generation.copy_gate.mean())
    by_context = context_labels(generation)
    shares = as_shares(score_sources(generation, by_context, len(contexts), method), copied)
    sentences = sentences_of(contexts)
    by_sentence = sentence_labels(generation, sentences)
    owed = as_shares(score_sources(generation, by_sentence, len(sentences), method), sum(shares))
    return Attribution(
        method,
        tuple(shares),
        max(0.0, 1.0 - sum(shares)),
        tuple(s for s in _ranked(sentences, owed, contexts) if s.share >= LEAST_SHARE),
        _token_shares(generation),
    )


def sentences_of(contexts: Sequence[str]) -> list[Sentence]:
    """All sentences of all contexts, in their order."""
    return [
        Sentence(context, start, end)
        for context, text in enumerate(contexts)
        for start, end in sentence_spans(text)
    ]


def context_labels(generation: Generation) -> Labels:
    """Which context each window token stands in, ``(n_windows, window_len)``; -1 for none."""
    contexts = np.array(generation.window_context, dtype=np.int32)[:, None]
    labels: Labels = np.where(generation.token_spans[..., 0] >= 0, contexts, np.int32(-1))
    return labels


def sentence_labels(generation: Generation, sentences: Sequence[Sentence]) -> Labels:
    """Which of ``sentences`` each window token begins in; -1 for none."""
    labels = np.full(generation.token_spans.shape[:2], -1, dtype=np.int32)
    starts = generation.token_spans[..., 0]
    contexts = np.array(generation.window_context, dtype=np.int32)[:, None]
    for number, sentence in enumerate(sentences):
        inside = (starts >= sentence.start) & (starts < sentence.end)
        labels[inside & (contexts == sentence.context)] = number
    return labels


def share_by_sentence(
    generation: Generation, contexts: Sequence[str], weights: NDArray[np.float32]
) -> list[SentenceShare]:
    """Add ``weights (n_windows, window_len)`` up by sentence; the largest share first.

    Ties stand by context and place.
    """
    sentences = sentences_of(contexts)
    labels = sentence_labels(generation, sentences)
    return _ranked(sentences, by_source(weights, labels, len(sentences)).tolist(), contexts)


def as_shares(scores: NDArray[np.float64], copied: float) -> list[float]:
    """Scores above 0 as shares that sum to ``copied``, or to 0 where there is none."""
    positive = np.maximum(scores, 0.0)
    total = float(positive.sum())
    return [copied * float(score) / total if total > 0 else 0.0 for score in positive]


def _ranked(
    sentences: Sequence[Sentence], shares: Sequence[float], contexts: Sequence[str]
) -> list[SentenceShare]:
    found = [
        SentenceShare(s.context, s.start, s.end, contexts[s.context][s.start : s.end], share)
        for s, share in zip(sentences, shares, strict=True)
    ]
    return sorted(found, key=lambda s: (-s.share, s.context, s.start))


def _token_shares(generation: Generation) -> tuple[TokenShare, ...]:
    """Probability of copying each answer token from the very place, or of writing it."""
    shares = []
    for step, token in enumerate(generation.tokens):
        gate = float(generation.copy_gate[step])
        if token.context is None:
            weight = 1.0 - gate
        else:
            at = [w for w, own in enumerate(generation.window_context) if own == token.context]
            here = generation.token_spans[at][..., 0] == token.start
            weight = gate * float(generation.copy[step, at][here].sum())
        shares.append(TokenShare(token.text, token.context, token.start, token.end, weight))
    return tuple(shares)
