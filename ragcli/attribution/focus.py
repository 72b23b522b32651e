"""What each word of an answer looked at: attention between tokens → attention between words.

A passage's word gets the sum of what its pieces get, also where overlapping windows read it twice.
An answer's word has the mean of what its pieces look at (Clark et al. 2019,
https://arxiv.org/abs/1906.04341). So a row sums to what lay on the contexts' tokens.
Shapes: T answer tokens, N words of the answer, S words of the contexts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragcli.attribution.methods import Labels
from ragcli.records import AnswerFocus, AnswerToken, AnswerWord, Generation, PassageWord

_WORD = re.compile(r"\w+|[^\w\s]")


def answer_focus(generation: Generation, contexts: Sequence[str]) -> AnswerFocus:
    """Say what each word of the answer looked at in ``contexts``, which it was generated from."""
    seen = passage_words(contexts)
    labels = word_labels(generation, seen, contexts)
    words, firsts = answer_words(generation.tokens, contexts)
    copy, attention = (
        _between_words(weights, firsts, labels, len(seen))
        for weights in (generation.copy, generation.cross_attention)
    )
    return AnswerFocus(words, seen, copy, attention)


def passage_words(contexts: Sequence[str]) -> tuple[PassageWord, ...]:
    """All words of all contexts, in order: runs of letters and digits, and single marks."""
    return tuple(
        PassageWord(context, *match.span(), match[0])
        for context, text in enumerate(contexts)
        for match in _WORD.finditer(text)
    )


def word_labels(
    generation: Generation, seen: Sequence[PassageWord], contexts: Sequence[str]
) -> Labels:
    """Which word of ``seen`` each window token begins in, ``(n_windows, window_len)``; -1: none."""
    # As if the contexts were one text: a token's word is the first that ends behind its start.
    openings = np.cumsum([0, *map(len, contexts)])
    ends = np.array([openings[word.context] + word.end for word in seen], dtype=np.int64)
    starts = generation.token_spans[..., 0]
    places = openings[list(generation.window_context)][:, None] + starts
    labels = np.searchsorted(ends, places, side="right").astype(np.int32)
    return np.where(starts >= 0, labels, np.int32(-1))


def answer_words(
    tokens: Sequence[AnswerToken], contexts: Sequence[str]
) -> tuple[tuple[AnswerWord, ...], tuple[int, ...]]:
    """Join the pieces of each word of the answer; also, which token each word begins with.

    Neighbouring tokens that were copied from one word are one, and a written ``##piece`` goes on
    with the word before it.
    """
    words: list[AnswerWord] = []
    firsts: list[int] = []
    for number, token in enumerate(tokens):
        longer = _joined(words[-1], token, contexts) if words else None
        if longer is None:
            firsts.append(number)
            words.append(AnswerWord(token.text, token.context, token.start, token.end))
        else:
            words[-1] = longer
    return tuple(words), tuple(firsts)


def _joined(word: AnswerWord, token: AnswerToken, contexts: Sequence[str]) -> AnswerWord | None:
    """Return ``word`` with one more piece; ``None`` where the token begins another word."""
    if token.context is None:
        is_piece = token.text.startswith("##")
        return AnswerWord(word.text + token.text[2:], None, None, None) if is_piece else None
    if (word.context, word.end) != (token.context, token.start):
        return None
    text = contexts[token.context][word.start : token.end]
    whole = AnswerWord(text, word.context, word.start, token.end)
    return whole if _WORD.fullmatch(text) else None


def _between_words(
    weights: NDArray[np.float32], firsts: Sequence[int], labels: Labels, n_seen: int
) -> NDArray[np.float32]:
    """``(..., T, n_windows, window_len)`` → ``(..., N, S)``: mean over pieces that look.

    And the sum over those that are looked at.
    """
    n_tokens = weights.shape[-3]
    sizes = np.diff([*firsts, n_tokens])
    inside = labels >= 0
    by_token = weights[..., inside]
    by_word = np.add.reduceat(by_token, firsts, axis=-2) / sizes[:, None]
    rows = by_word.reshape(-1, by_word.shape[-1])
    summed = [np.bincount(labels[inside], row, n_seen) for row in rows]
    return np.array(summed, dtype=np.float32).reshape(*by_word.shape[:-1], n_seen)
