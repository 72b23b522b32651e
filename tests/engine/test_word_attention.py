from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragcli.engine.word_attention import (
    join_words,
    strongest_links,
    weight_shares,
    word_weights,
)
from ragcli.records import EncoderToken, Word

TEXT = "Tea, unlike tea"
TOKENS = (
    EncoderToken("[CLS]", 0, 0, None),
    EncoderToken("tea", 0, 3, 0),
    EncoderToken(",", 3, 4, 1),
    EncoderToken("un", 5, 7, 2),
    EncoderToken("##like", 7, 11, 2),
    EncoderToken("tea", 12, 15, 3),
    EncoderToken("[SEP]", 0, 0, None),
)


@pytest.fixture
def words() -> tuple[Word, ...]:
    return join_words(TEXT, TOKENS)


def _distributions(n: int, seed: int) -> NDArray[np.float32]:
    weights = np.random.default_rng(seed).random((n, n)) ** 4
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@st.composite
def _texts(draw: st.DrawFn) -> tuple[EncoderToken, ...]:
    """Tokens of words of one to four pieces of one character, between two special tokens."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    numbers = [word for word, size in enumerate(sizes) for _ in range(size)]
    ordinary = [EncoderToken("x", n, n + 1, word) for n, word in enumerate(numbers)]
    ends = EncoderToken("[CLS]", 0, 0, None), EncoderToken("[SEP]", 0, 0, None)
    return (ends[0], *ordinary, ends[1])


def test_pieces_become_words_in_the_spelling_of_the_text(words: tuple[Word, ...]) -> None:
    assert [word.text for word in words] == ["[CLS]", "Tea", ",", "unlike", "tea", "[SEP]"]
    assert words[3] == Word("unlike", 5, 11, (3, 4), is_special=False)
    assert [word.is_special for word in words] == [True, False, False, False, False, True]


def test_neighbouring_special_tokens_stay_apart() -> None:
    ends = (TOKENS[0], TOKENS[6], TOKENS[6])
    assert [word.tokens for word in join_words("", ends)] == [(0,), (1,), (2,)]


def test_sum_over_pieces_looked_at_and_mean_over_those_that_look(words: tuple[Word, ...]) -> None:
    weights = _distributions(7, 0)
    between = word_weights(weights, words)
    assert between[1, 3] == pytest.approx(weights[1, 3] + weights[1, 4])
    assert between[3, 1] == pytest.approx((weights[3, 1] + weights[4, 1]) / 2)
    assert between[3, 3] == pytest.approx(weights[3:5, 3:5].sum() / 2)
    assert between[1, 5] == weights[1, 6]


@given(_texts(), st.integers(0, 1000))
def test_what_a_word_looks_at_sums_to_1_and_so_do_the_shares(
    tokens: tuple[EncoderToken, ...], seed: int
) -> None:
    words = join_words("x" * len(tokens), tokens)
    between = word_weights(_distributions(len(tokens), seed), words)
    assert np.allclose(between.sum(axis=1), 1, atol=1e-5)
    shares = weight_shares(between, words)
    assert list(shares) == ["[CLS]", "[SEP]", "itself", "other words"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert min(shares.values()) >= -1e-6


def test_shares_are_means_over_the_words(words: tuple[Word, ...]) -> None:
    between = word_weights(_distributions(7, 3), words)
    shares = weight_shares(between, words)
    assert shares["[SEP]"] == pytest.approx(between[1:5, 5].mean())
    assert shares["itself"] == pytest.approx(np.diag(between)[1:5].mean())


def test_links_join_different_words_heaviest_first(words: tuple[Word, ...]) -> None:
    between = word_weights(_distributions(7, 1), words)
    links = strongest_links(between, words, 100)
    assert len(links) == 4 * 3
    weights = [link.weight for link in links]
    assert weights == sorted(weights, reverse=True)
    assert all(link.weight == between[link.looking, link.looked_at] for link in links)
    assert all(link.looking != link.looked_at for link in links)
    assert {link.looking for link in links} | {link.looked_at for link in links} == {1, 2, 3, 4}
    assert strongest_links(between, words, 3) == links[:3]


def test_special_lets_in_every_link(words: tuple[Word, ...]) -> None:
    between = word_weights(_distributions(7, 1), words)
    links = strongest_links(between, words, 100, special=True)
    assert len({(link.looking, link.looked_at) for link in links}) == 36


def test_ties_stand_in_the_order_of_the_text(words: tuple[Word, ...]) -> None:
    links = strongest_links(np.full((6, 6), 1 / 6, dtype=np.float32), words, 4)
    assert [(link.looking, link.looked_at) for link in links] == [(1, 2), (1, 3), (1, 4), (2, 1)]
