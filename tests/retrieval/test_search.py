"""Ranking by vectors, by words and by both, over a real index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.errors import UsageError
from ragcli.records import Document, Passage
from ragcli.retrieval.fusion import Sides, weighted_mean
from ragcli.retrieval.models import Models
from ragcli.retrieval.ranking import Ranking
from ragcli.retrieval.search import search_passages
from ragcli.store import Index, IndexFingerprint, SourceState

if TYPE_CHECKING:
    from conftest import WordEncoder

FINGERPRINT = IndexFingerprint("words", "1", 64, "", "", 200, 1)
DENSE, LEXICAL, HYBRID = Ranking("dense"), Ranking("lexical"), Ranking("hybrid")


@pytest.mark.parametrize("ranking", [DENSE, LEXICAL, HYBRID, Ranking("hybrid", "rrf")])
def test_the_best_come_first_and_equals_stand_by_passage_id(
    index: Index, models: Models, ranking: Ranking
) -> None:
    (hits,) = search_passages(index, models, ["red apple"], 3, ranking)
    assert [hit.stored.path for hit in hits][:2] == ["0.txt", "3.txt"]
    assert [hit.rank for hit in hits] == [1, 2, 3]
    scores = [hit.score for hit in hits if hit.score is not None]
    assert scores == sorted(scores, reverse=True)


def test_a_dense_score_is_the_cosine(index: Index, models: Models) -> None:
    (hits,) = search_passages(index, models, ["red apple"], 3, DENSE)
    assert [hit.score for hit in hits] == pytest.approx([1.0, 1.0, 0.5])


def test_more_than_there_is_gives_all_there_is(index: Index, models: Models) -> None:
    (hits,) = search_passages(index, models, ["sea"], 50, HYBRID)
    assert sorted(hit.stored.path for hit in hits) == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert hits[0].stored.path == "2.txt"


def test_words_find_only_what_holds_them_and_need_no_encoder(index: Index) -> None:
    found = search_passages(index, Models(), ["the apples", "green", "zebra", "!?"], 9, LEXICAL)
    assert [{hit.stored.path for hit in hits} for hits in found] == [
        {"0.txt", "1.txt", "3.txt"},
        {"1.txt"},
        set(),
        set(),
    ]
    assert all(hit.score and hit.score > 0 for hits in found for hit in hits)


def test_scores_below_the_least_are_left_out(index: Index, models: Models) -> None:
    hits, none = search_passages(index, models, ["red apple", "unknown"], 4, DENSE, min_score=0.6)
    assert [hit.stored.path for hit in hits] == ["0.txt", "3.txt"]
    assert none == []


def test_every_query_has_its_own_hits_in_order(index: Index, models: Models) -> None:
    found = search_passages(index, models, ["blue", "green"], 1, HYBRID)
    assert [[hit.stored.path for hit in hits] for hits in found] == [["2.txt"], ["1.txt"]]
    assert search_passages(index, models, [], 1, HYBRID) == []


def test_the_parts_give_the_score(index: Index, encoder: WordEncoder, models: Models) -> None:
    everything = {
        ranking.mode: search_passages(index, models, ["green apple"], 9, ranking)[0]
        for ranking in (DENSE, LEXICAL, HYBRID)
    }
    sides = {
        mode: [(hit.stored.passage_id, hit.score or 0.0) for hit in everything[mode]]
        for mode in ("dense", "lexical")
    }
    (query,) = encoder.encode_queries(["green apple"])
    floor = float(query @ index.mean_vector())
    fused = weighted_mean(Sides(sides["dense"], sides["lexical"], floor=floor))
    for hit in everything["hybrid"]:
        passage_id = hit.stored.passage_id
        assert hit.score == fused[passage_id]
        for part in hit.parts:
            assert part.rank is not None
            assert sides[part.stage][part.rank - 1] == (passage_id, part.score)


def test_a_reranked_score_is_made_of_fusion_interaction_and_the_readers_attention(
    index: Index, models: Models
) -> None:
    (hits,) = search_passages(index, models, ["green apple"], 9, Ranking(rerank=True))
    assert hits[0].stored.path == "1.txt"
    for hit in hits:
        told = {part.stage: part.score for part in hit.parts}
        found = (told["wider fused"] + told["rerank"]) / 2
        assert hit.score == pytest.approx(0.875 * found + 0.125 * told["reader"])
    assert sum(part.score**2 for hit in hits for part in hit.parts if part.stage == "reader") == (
        pytest.approx(1)
    )


def test_reranking_a_batch_is_reranking_each(index: Index, models: Models) -> None:
    queries = ["green apple", "blue", "unknown", ""]
    together = search_passages(index, models, queries, 4, Ranking(rerank=True))
    for query, hits in zip(queries, together, strict=True):
        (alone,) = search_passages(index, models, [query], 4, Ranking(rerank=True))
        assert [h.stored.path for h in alone] == [h.stored.path for h in hits]
        assert [h.score for h in alone] == pytest.approx([h.score for h in hits], abs=1e-5)


def test_reranking_is_for_hybrid_mode() -> None:
    with pytest.raises(UsageError, match="hybrid"):
        Ranking("dense", rerank=True)


def test_an_unknown_mode_or_fusion_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown mode 'exact'"):
        Ranking("exact")
    with pytest.raises(UsageError, match="unknown fusion 'sum'"):
        Ranking(fusion="sum")


def test_a_score_does_not_depend_on_how_many_are_asked_for(
    tmp_path: Path, encoder: WordEncoder, models: Models
) -> None:
    with Index.create_or_open(tmp_path, FINGERPRINT) as made:
        for number in range(450):
            path = f"{number}.txt"
            text = " ".join(["apple"] * (1 + number % 7) + [f"word{number % 90}"])
            made.replace_source(
                SourceState(path, "hash", 1, 0),
                [
                    (
                        Document(path, path, text, "hash"),
                        [Passage(0, len(text), text)],
                        encoder.encode_passages([text]),
                    )
                ],
            )
        made.commit()
    with Index.open(tmp_path) as index:
        for ranking in (HYBRID, Ranking(rerank=True), Ranking(fusion="rrf"), DENSE, LEXICAL):
            few, many = (
                search_passages(index, models, ["apple word7"], k, ranking)[0] for k in (10, 440)
            )
            assert len(few) == 10
            assert len(many) == 440
            assert [(h.stored.path, h.score) for h in few] == [
                (h.stored.path, h.score) for h in many[:10]
            ]


def test_folding_goes_on_until_there_are_enough(
    tmp_path: Path, encoder: WordEncoder, models: Models
) -> None:
    """One book of 300 passages stands before three leaflets."""
    texts = ["apple apple "] * 300
    book = "".join(texts)
    passages = [Passage(12 * n, 12 * n + 12, text) for n, text in enumerate(texts)]
    with Index.create_or_open(tmp_path, FINGERPRINT) as made:
        made.replace_source(
            SourceState("book", "hash", 1, 0),
            [
                (
                    Document("book", "book", book, "hash"),
                    passages,
                    encoder.encode_passages(texts),
                )
            ],
        )
        for name in "xyz":
            text = f"apple {name} and many others"
            made.replace_source(
                SourceState(name, "hash", 1, 0),
                [
                    (
                        Document(name, name, text, "hash"),
                        [Passage(0, len(text), text)],
                        encoder.encode_passages([text]),
                    )
                ],
            )
        made.commit()
    with Index.open(tmp_path) as index:
        for mode in ("hybrid", "dense", "lexical"):
            ranking = Ranking(mode, per_document=1)
            (hits,) = search_passages(index, models, ["apple"], 4, ranking)
            assert [hit.stored.path for hit in hits] == ["book", "x", "y", "z"]
