"""What an index was tuned to: how it is kept, and what of it holds for a search."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragcli.retrieval.models import Models
from ragcli.retrieval.ranking import Ranking
from ragcli.retrieval.search import search_passages
from ragcli.retrieval.tuned import UNTUNED, Tuned, keep_tuned, tuned_of
from ragcli.store import Index

TUNED = Tuned("rrf", 0.2, 4, 30, "1")


def _keep(index: Index, tuned: Tuned | None) -> None:
    with Index.create_or_open(index.folder, index.fingerprint) as writer:
        keep_tuned(writer, tuned)
        writer.commit()


def _now(index: Index) -> Tuned:
    with Index.open(index.folder) as reader:
        return tuned_of(reader)


def test_it_is_kept_through_a_rebuild_and_can_be_forgotten(index: Index) -> None:
    assert _now(index) == UNTUNED
    _keep(index, TUNED)
    assert _now(index) == TUNED
    with Index.create_or_open(index.folder, index.fingerprint, rebuild=True) as writer:
        writer.adopt()
    assert _now(index) == TUNED
    _keep(index, None)
    assert _now(index) == UNTUNED


def test_it_does_not_hold_for_another_encoder(index: Index) -> None:
    _keep(index, TUNED)
    other = replace(index.fingerprint, encoder_revision="2")
    with Index.create_or_open(index.folder, other, rebuild=True) as writer:
        writer.adopt()
    assert _now(index) == UNTUNED


@pytest.mark.parametrize(
    ("asked", "fusion", "weight"),
    [
        (Ranking(), "rrf", 0.2),
        (Ranking(dense_weight=0.0), "rrf", 0.0),
        (Ranking(fusion="rrf"), "rrf", 0.2),
        (Ranking(fusion="mean"), "mean", None),  # 0.2 was measured with rrf
        (Ranking(fusion="mean", dense_weight=0.9), "mean", 0.9),
    ],
)
def test_it_fills_in_only_what_was_left_open(
    asked: Ranking, fusion: str, weight: float | None
) -> None:
    asked = replace(asked, per_document=2)
    completed = TUNED.complete(asked)
    assert completed == replace(asked, fusion=fusion, dense_weight=weight)


def test_nothing_tuned_changes_nothing() -> None:
    assert UNTUNED.complete(Ranking(fusion="rrf")) == Ranking(fusion="rrf")
    assert UNTUNED.k_for(Ranking()) is None


def test_k_holds_for_the_mode_that_it_was_measured_with() -> None:
    assert TUNED.k_for(Ranking()) == 4
    assert TUNED.k_for(Ranking("dense")) is None
    assert TUNED.k_for(Ranking("lexical")) is None


@pytest.mark.parametrize("fusion", ["mean", "rrf"])
def test_the_ends_of_the_weight_rank_as_one_retriever_alone(
    index: Index, models: Models, fusion: str
) -> None:
    for weight, mode in ((1.0, "dense"), (0.0, "lexical")):
        alone, fused = (
            search_passages(index, models, ["green apple"], 3, ranking)[0]
            for ranking in (Ranking(mode), Ranking(fusion=fusion, dense_weight=weight))
        )
        # The least of what is found has a score of 0, as what is not found has.
        assert [hit.stored.path for hit in fused[:2]] == [hit.stored.path for hit in alone[:2]]
