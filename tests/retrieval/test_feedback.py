"""The query attends over what it found, and learns from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.records import Document, Passage
from ragcli.retrieval.feedback import SHARE, add_terms, attention_weights, widen
from ragcli.retrieval.terms import expansion_terms, inverse_document_frequency, word_weights
from ragcli.store import Index, IndexFingerprint, SourceState

if TYPE_CHECKING:
    from conftest import WordEncoder

FINGERPRINT = IndexFingerprint("words", "1", 64, "", "", 200, 1)


def test_attention_weights_sum_to_one_and_the_best_stands_out() -> None:
    weights = attention_weights([(7, 0.9), (3, 0.6), (5, 0.6)])
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] > 0.95
    assert weights[1] == weights[2]


def test_a_query_moves_half_way_to_the_one_passage_it_looks_at(
    index: Index, encoder: WordEncoder
) -> None:
    (vector,) = encoder.encode_queries(["sea"])
    ((passage_id, _),) = index.search_words("sea", 1)
    wider = widen(index, "sea", vector, [(passage_id, 1.0)])
    passage = index.vectors([passage_id])[0]
    assert wider.vector == pytest.approx((1 - SHARE) * vector + SHARE * passage)


def test_without_any_passage_the_query_stays(index: Index, encoder: WordEncoder) -> None:
    (vector,) = encoder.encode_queries(["sea"])
    wider = widen(index, "sea", vector, [])
    assert np.array_equal(wider.vector, vector)
    assert wider.expression is None


def test_terms_come_from_what_was_read_beside_the_query_s_own(index: Index) -> None:
    terms = expansion_terms(index, "apples", ["red apple", "green apple"], [0.9, 0.1], 5)
    # "green" stands in one passage only, which the query has found already.
    assert terms == ["red"]


def test_a_stem_that_a_search_would_stem_again_is_left_out(
    tmp_path: Path, encoder: WordEncoder
) -> None:
    """Of "universe" the stem is "univers", and of that "univ"."""
    with Index.create_or_open(tmp_path, FINGERPRINT) as made:
        for path, text in (("a", "the universe, the sea"), ("b", "universe, sea"), ("c", "other")):
            document = Document(path, path, text, "hash")
            vectors = encoder.encode_passages([text])
            made.replace_source(
                SourceState(path, "hash", 1, 0),
                [(document, [Passage(0, len(text), text)], vectors)],
            )
        terms = expansion_terms(made, "query", ["the universe, the sea"], [1.0], 5)
    assert terms == ["sea"]


def test_a_rare_word_weighs_more_and_a_stop_word_nothing(index: Index) -> None:
    (start, end, apple), (*_, sea) = word_weights(index, "The apples and the sea")
    assert (start, end) == (4, 10)
    assert sea > apple > 0
    assert apple == pytest.approx(inverse_document_frequency(4, 3))


def test_a_query_of_stop_words_alone_keeps_them(index: Index) -> None:
    assert [span[:2] for span in word_weights(index, "who was it")] == [(0, 3), (4, 7), (8, 10)]


def test_new_terms_count_less_than_the_query_s_words() -> None:
    joined = dict(add_terms([(1, 8.0), (2, 4.0)], [(2, 3.0), (3, 1.5)]))
    assert joined == pytest.approx({1: 1.0, 2: 0.5 + 0.4, 3: 0.2})
    assert add_terms([], []) == []
