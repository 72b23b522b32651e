from __future__ import annotations

from typing import TYPE_CHECKING

from ragcli.retrieval.highlight import best_sentence, best_sentences

if TYPE_CHECKING:
    from conftest import WordEncoder

TEXT = "The sea is blue. An apple is red or green. Nothing else matters."


def test_the_sentence_nearest_to_the_query_is_found(encoder: WordEncoder) -> None:
    start, end = best_sentence(encoder, "a green apple", TEXT)
    assert TEXT[start:end] == "An apple is red or green."


def test_the_first_of_equal_sentences_is_taken(encoder: WordEncoder) -> None:
    assert best_sentence(encoder, "sea", "The sea. The sea.") == (0, 8)


def test_a_heading_or_label_is_not_the_best_sentence_unless_there_is_nothing_else(
    encoder: WordEncoder,
) -> None:
    text = "# A green apple pie\n\nApple:\n\nIt takes one green apple and flour.\n"
    start, end = best_sentence(encoder, "a green apple pie", text)
    assert text[start:end] == "It takes one green apple and flour."
    heading = "# Green apple\n"
    start, end = best_sentence(encoder, "green apple", heading)
    assert "Green apple" in heading[start:end]


def test_texts_are_independent_and_blank_ones_give_an_empty_span(encoder: WordEncoder) -> None:
    texts = [" \n", TEXT, "", "Green apple."]
    spans = best_sentences(encoder, "green apple", texts)
    assert spans == [best_sentence(encoder, "green apple", text) for text in texts]
    assert (spans[0], spans[2]) == ((0, 0), (0, 0))
    assert best_sentences(encoder, "q", []) == []
    assert best_sentences(encoder, "q", ["", " "]) == [(0, 0), (0, 0)]
