from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.attribution import answer_focus
from ragcli.attribution.focus import answer_words, passage_words, word_labels
from ragcli.reader import Reader
from ragcli.records import AnswerToken, AnswerWord, Generation

LEAVE = "A full-time employee has 27 days of annual leave in a calendar year."
REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
QUESTION = "How many days of annual leave do employees get?"
LONG = " ".join(f"Hut {n} at Uludağ was built by Svensson in {1800 + n}." for n in range(60))


@pytest.fixture(scope="module")
def generation(reader: Reader) -> Generation:
    return reader.generate([QUESTION], [[REVIEW, LEAVE]])[0]


def _copied(text: str, context: int, start: int) -> AnswerToken:
    return AnswerToken(text, context, start, start + len(text), -0.1)


def _written(text: str) -> AnswerToken:
    return AnswerToken(text, None, None, None, -0.1)


def test_what_a_word_looks_at_sums_to_what_lies_inside_the_passages(generation: Generation) -> None:
    focus = answer_focus(generation, [REVIEW, LEAVE])
    inside = generation.token_spans[..., 0] >= 0
    sizes = np.diff([*answer_words(generation.tokens, [REVIEW, LEAVE])[1], len(generation.tokens)])
    assert (sizes == 1).all()  # so that tokens and words of this answer are the same
    assert focus.copy.shape == (len(focus.words), len(focus.seen))
    assert focus.cross_attention.shape == (2, 12, len(focus.words), len(focus.seen))
    assert focus.copy.sum(axis=-1) == pytest.approx(1.0, abs=1e-5)
    expected = generation.cross_attention[..., inside].sum(axis=-1)
    assert np.allclose(focus.cross_attention.sum(axis=-1), expected, atol=1e-5)
    assert 0.0 < expected.min() < expected.max() < 1.0
    assert focus.cross_attention.min() >= 0.0


def test_a_layer_and_a_head_can_be_chosen(generation: Generation) -> None:
    focus = answer_focus(generation, [REVIEW, LEAVE])
    by_head = focus.cross_attention
    assert np.allclose(focus.weights, by_head.mean(axis=(0, 1)))
    assert np.allclose(replace(focus, layer=2).weights, by_head[1].mean(axis=0))
    assert np.allclose(replace(focus, head=12).weights, by_head[:, 11].mean(axis=0))
    assert np.array_equal(replace(focus, layer=1, head=3).weights, by_head[0, 2])


def test_a_copied_word_is_copied_from_where_it_stands(generation: Generation) -> None:
    focus = answer_focus(generation, [REVIEW, LEAVE])
    assert [word.text for word in focus.words] == ["27"]
    for word, row in zip(focus.words, focus.copy, strict=True):
        place = focus.seen[int(row.argmax())]
        assert (place.context, place.start, place.end) == (word.context, word.start, word.end)
        assert row.max() > 0.5


def test_words_that_are_read_in_pieces_are_whole_in_answer_and_passage(reader: Reader) -> None:
    text = "The bridge was built by Szczepański Wróblewski of Łódź."
    generation = reader.generate(["Who built the bridge?"], [[text]])[0]
    focus = answer_focus(generation, [text])
    assert [word.text for word in focus.words[:2]] == ["Szczepański", "Wróblewski"]
    assert len(generation.tokens) > len(focus.words)
    n_pieces = sum(token.context is not None and token.end <= 35 for token in generation.tokens)
    labels = word_labels(generation, focus.seen, [text])
    number = next(n for n, word in enumerate(focus.seen) if word.text == "Szczepański")
    assert (labels == number).sum() == n_pieces > 1
    here = generation.cross_attention[..., labels == number].sum(axis=-1)
    assert np.allclose(
        focus.cross_attention[:, :, 0, number], here[..., :n_pieces].mean(axis=-1), atol=1e-6
    )


def test_overlapping_windows_of_a_long_context_are_one_text(reader: Reader) -> None:
    generation = reader.generate(["Who built hut 30?"], [[REVIEW, LONG]])[0]
    assert generation.window_context.count(1) > 2
    focus = answer_focus(generation, [REVIEW, LONG])
    assert [word.text for word in focus.seen] == re.findall(r"\w+|[^\w\s]", f"{REVIEW} {LONG}")
    labels = word_labels(generation, focus.seen, [REVIEW, LONG])
    windows = [{n for n in row if n >= 0} for row in labels[1:].tolist()]
    assert all(before & after for before, after in pairwise(windows))
    twice = min(windows[0] & windows[1])
    places = generation.copy[:, labels == twice]
    assert places.shape[1] >= 2
    firsts = answer_words(generation.tokens, [REVIEW, LONG])[1]
    assert focus.copy[0, twice] == pytest.approx(places[: [*firsts, 99][1]].sum(axis=1).mean())
    assert focus.copy.sum(axis=-1) == pytest.approx(1.0, abs=1e-5)


def test_neighbouring_pieces_of_one_word_are_joined_and_others_stand_alone() -> None:
    context = "Uludağ, Uludağ."
    tokens = [
        _copied("Ulu", 0, 0),
        _copied("dağ", 0, 3),
        _copied(",", 0, 6),
        _copied("Ulu", 0, 8),
        _written("##s"),
        _written("own"),
        _written("##er"),
        _copied("dağ", 0, 3),
    ]
    words, firsts = answer_words(tokens, [context])
    assert words == (
        AnswerWord("Uludağ", 0, 0, 6),
        AnswerWord(",", 0, 6, 7),
        AnswerWord("Ulus", None, None, None),
        AnswerWord("owner", None, None, None),
        AnswerWord("dağ", 0, 3, 6),
    )
    assert firsts == (0, 2, 3, 5, 7)


def test_pieces_of_one_spelling_in_two_contexts_are_two_words() -> None:
    words, _ = answer_words([_copied("Ulu", 0, 0), _copied("dağ", 1, 3)], ["Uludağ", "Uludağ"])
    assert [(word.text, word.context) for word in words] == [("Ulu", 0), ("dağ", 1)]


@given(contexts=st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_every_token_lies_in_a_word_of_its_own_context(reader: Reader, contexts: list[str]) -> None:
    (generation,) = reader.generate(["What?"], [contexts], 1)
    seen = passage_words(contexts)
    assert all(contexts[word.context][word.start : word.end] == word.text for word in seen)
    if not generation.window_context:
        return
    labels = word_labels(generation, seen, contexts)
    for window, context in enumerate(generation.window_context):
        for label, (start, end) in zip(
            labels[window], generation.token_spans[window].tolist(), strict=True
        ):
            assert (label < 0) == (start < 0)
            if start >= 0:
                word = seen[label]
                assert word.context == context
                assert start < word.end
                assert word.start < end
