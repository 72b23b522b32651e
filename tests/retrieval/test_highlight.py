from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ragcli.records import Highlight
from ragcli.retrieval.highlight import highlight_by_attention, highlight_by_words

if TYPE_CHECKING:
    from conftest import WordEncoder

TEXT = "The sea is blue. An apple is red or green. Nothing else matters."


@pytest.fixture(params=["attention", "words"])
def by_attention(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "attention")


def _highlights(
    encoder: WordEncoder, query: str, texts: list[str], *, by_attention: bool
) -> list[Highlight]:
    if not by_attention:
        return highlight_by_words(query, texts)
    words = [(start, start + len(word), 1.0) for word, start in _places(query)]
    return highlight_by_attention(encoder, query, words, texts)


def _places(query: str) -> list[tuple[str, int]]:
    telling = [word for word in query.split() if word not in {"a", "q"}]
    return [(word, query.index(word)) for word in telling]


def _told(text: str, highlight: Highlight) -> tuple[str, list[str]]:
    start, end = highlight.sentence
    return text[start:end], [text[first:last] for first, last in highlight.words]


def test_the_sentence_and_the_words_that_match_the_query_are_found(
    encoder: WordEncoder, *, by_attention: bool
) -> None:
    (found,) = _highlights(encoder, "a green apple", [TEXT], by_attention=by_attention)
    assert _told(TEXT, found) == ("An apple is red or green.", ["apple", "green"])


def test_the_first_of_equal_sentences_is_taken(encoder: WordEncoder, *, by_attention: bool) -> None:
    (found,) = _highlights(encoder, "sea", ["The sea. The sea."], by_attention=by_attention)
    assert found.sentence == (0, 8)


def test_a_heading_or_label_is_not_the_best_sentence_unless_there_is_nothing_else(
    encoder: WordEncoder, *, by_attention: bool
) -> None:
    text = "# A green apple pie\n\nApple:\n\nIt takes one green apple and flour.\n"
    (found,) = _highlights(encoder, "a green apple pie", [text], by_attention=by_attention)
    assert _told(text, found)[0] == "It takes one green apple and flour."
    heading = "# Green apple\n"
    (found,) = _highlights(encoder, "green apple", [heading], by_attention=by_attention)
    assert "Green apple" in _told(heading, found)[0]


def test_texts_are_independent_and_blank_ones_give_an_empty_span(
    encoder: WordEncoder, *, by_attention: bool
) -> None:
    texts = [" \n", TEXT, "", "Green apple."]
    found = _highlights(encoder, "green apple", texts, by_attention=by_attention)
    for text, own in zip(texts, found, strict=True):
        assert _highlights(encoder, "green apple", [text], by_attention=by_attention) == [own]
    assert found[0] == found[2] == Highlight((0, 0))
    assert _highlights(encoder, "q", [], by_attention=by_attention) == []


def test_rarer_words_decide_between_sentences(encoder: WordEncoder) -> None:
    text = "An apple is a fruit. A quince is a fruit."
    query = "apple quince"
    for weights, sentence in (((3.0, 1.0), "An apple is a fruit."), ((1.0, 3.0), "A quince is")):
        words = [(0, 5, weights[0]), (6, 12, weights[1])]
        (found,) = highlight_by_attention(encoder, query, words, [text])
        assert _told(text, found)[0].startswith(sentence)


def test_words_that_begin_alike_match_without_a_model() -> None:
    (found,) = highlight_by_words("attending", ["It attends to all. It is attention."])
    assert _told("It attends to all.", found) == ("It attends to all.", ["attends"])
