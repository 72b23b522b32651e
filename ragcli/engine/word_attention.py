"""Attention between tokens → attention between words.

A word that is read in pieces is looked at with the sum of what its pieces get, and looks with the
mean of what its pieces give (Clark et al. 2019, https://arxiv.org/abs/1906.04341). So what a word
looks at still sums to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ragcli.records import EncoderToken, Link, Word

ITSELF, OTHERS = "itself", "other words"


def join_words(text: str, tokens: Sequence[EncoderToken]) -> tuple[Word, ...]:
    """Join the pieces of each word, in order; a special token stands alone."""
    words = []
    for _, group in groupby(enumerate(tokens), key=lambda pair: _word_key(*pair)):
        pieces = list(group)
        first, last = pieces[0][1], pieces[-1][1]
        is_special = first.word is None
        shown = first.text if is_special else text[first.start : last.end]
        positions = tuple(position for position, _ in pieces)
        words.append(Word(shown, first.start, last.end, positions, is_special))
    return tuple(words)


def _word_key(position: int, token: EncoderToken) -> tuple[bool, int]:
    return (True, position) if token.word is None else (False, token.word)


def word_weights(weights: NDArray[np.float32], words: Sequence[Word]) -> NDArray[np.float32]:
    """``(n_tokens, n_tokens)`` → ``(n_words, n_words)``: sum over the pieces that are looked at.

    And the mean over the pieces that look; rows sum to 1.
    """
    firsts = [word.tokens[0] for word in words]
    sizes = np.array([len(word.tokens) for word in words])
    looked_at = np.add.reduceat(weights, firsts, axis=1)
    means = np.add.reduceat(looked_at, firsts, axis=0) / sizes[:, None]
    joined: NDArray[np.float32] = means.astype(np.float32)
    return joined


def strongest_links(
    between: NDArray[np.float32], words: Sequence[Word], n: int, *, special: bool = False
) -> tuple[Link, ...]:
    """The ``n`` greatest weights between words, heaviest first; ties in the order of the text.

    ``special`` lets in links from and to special tokens and of a word to itself.
    """
    allowed = np.ones(between.shape, dtype=bool)
    if not special:
        ordinary = np.array([not word.is_special for word in words])
        allowed = ordinary[:, None] & ordinary & ~np.eye(len(words), dtype=bool)
    rows, columns = np.nonzero(allowed)
    order = np.argsort(-between[rows, columns], kind="stable")[:n]
    return tuple(
        Link(int(row), int(column), float(between[row, column]))
        for row, column in zip(rows[order], columns[order], strict=True)
    )


def weight_shares(between: NDArray[np.float32], words: Sequence[Word]) -> dict[str, float]:
    """Where the weight of a word goes, in the mean over all words; sums to 1.

    By special token, such as ``[SEP]``, then ``itself`` and ``other words``.
    """
    ordinary = [n for n, word in enumerate(words) if not word.is_special]
    means = between[ordinary].mean(axis=0, dtype=np.float64)
    shares = {word.text: float(means[n]) for n, word in enumerate(words) if word.is_special}
    itself = float(between[ordinary, ordinary].mean(dtype=np.float64))
    return {**shares, ITSELF: itself, OTHERS: float(means[ordinary].sum()) - itself}
