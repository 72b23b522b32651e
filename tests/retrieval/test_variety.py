"""Folding and maximal marginal relevance."""

from __future__ import annotations

import numpy as np

from ragcli.retrieval.models import Models
from ragcli.retrieval.ranking import Ranking
from ragcli.retrieval.search import search_passages
from ragcli.retrieval.variety import diversify, fold
from ragcli.store import Index


def test_fold_keeps_the_best_of_each_document() -> None:
    ranked = [(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6)]
    documents = {1: 10, 2: 10, 3: 20, 4: 10}
    assert fold(ranked, documents, 1) == [(1, 0.9), (3, 0.7)]
    assert fold(ranked, documents, 2) == [(1, 0.9), (2, 0.8), (3, 0.7)]


def test_diversity_puts_back_what_repeats() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    ranked = [(7, 1.0), (8, 0.9), (9, 0.5)]
    assert diversify(ranked, vectors, 2, 0.0) == [(7, 1.0), (8, 0.9)]
    assert diversify(ranked, vectors, 2, 0.5) == [(7, 1.0), (9, 0.5)]
    assert [key for key, _ in diversify(ranked, vectors, 9, 0.5)] == [7, 9, 8]
    assert diversify([], vectors[:0], 3, 0.5) == []


def test_a_search_with_variety(index: Index, models: Models) -> None:
    """0.txt and 3.txt have the same text."""
    plain = search_passages(index, models, ["red apple"], 2, Ranking("dense"))[0]
    assert [hit.stored.path for hit in plain] == ["0.txt", "3.txt"]
    varied = search_passages(index, models, ["red apple"], 2, Ranking("dense", diversity=0.7))[0]
    assert [hit.stored.path for hit in varied] == ["0.txt", "2.txt"]
    assert [hit.rank for hit in varied] == [1, 2]
    folded = search_passages(index, models, ["red apple"], 4, Ranking(per_document=1))[0]
    assert len({hit.stored.document_id for hit in folded}) == len(folded) == 4
