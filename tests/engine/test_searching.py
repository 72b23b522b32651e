from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragcli.engine.indexing import index_paths
from ragcli.engine.searching import BATCH_SIZE, Query, search
from ragcli.errors import IndexMissingError


@pytest.fixture
def indexed(corpus: Path) -> Path:
    index_paths([corpus], corpus / ".ragcli")
    return corpus


def test_results_keep_the_order_of_queries_across_batches(indexed: Path) -> None:
    texts = ["paid leave", "boiler service", "brewing tea"]
    queries = [Query(texts[n % 3], f"q{n}") for n in range(BATCH_SIZE + 5)]
    results = list(search(indexed / ".ragcli", queries, k=1, seen_from=indexed))
    assert [result.query for result in results] == queries
    expected = ["docs/leave.md", "docs/boiler.txt", "tea.txt"]
    assert [result.hits[0].stored.path for result in results] == [
        expected[n % 3] for n in range(len(queries))
    ]


def test_queries_are_read_a_batch_at_a_time(indexed: Path) -> None:
    read: list[int] = []

    def endless() -> Iterator[Query]:
        while True:
            read.append(1)
            yield Query("tea")

    results = search(indexed / ".ragcli", endless(), k=1)
    next(results)
    assert len(read) == BATCH_SIZE
    results.close()  # type: ignore[attr-defined]


def test_paths_are_shown_from_where_the_person_stands(indexed: Path) -> None:
    def shown(folder: Path) -> set[str]:
        (result,) = search(indexed / ".ragcli", [Query("tea")], seen_from=folder)
        return {hit.stored.path for hit in result.hits}

    assert shown(indexed) == {"docs/leave.md", "docs/boiler.txt", "tea.txt"}
    assert shown(indexed / "docs") == {"leave.md", "boiler.txt", (indexed / "tea.txt").as_posix()}


def test_highlights_come_only_when_asked_for(indexed: Path) -> None:
    (plain,) = search(indexed / ".ragcli", [Query("days of leave")], k=1)
    assert plain.highlights == (None,)
    (marked,) = search(indexed / ".ragcli", [Query("days of leave")], k=1, highlight=True)
    (mark,) = marked.highlights
    assert mark is not None
    text = marked.hits[0].stored.passage.text
    assert text[slice(*mark.sentence)] == "Every employee has 25 days of paid leave a year."
    assert {"days", "leave"} <= {text[slice(*word)] for word in mark.words}


def test_scores_are_cosines_in_falling_order(indexed: Path) -> None:
    (result,) = search(indexed / ".ragcli", [Query("tea")])
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(-1.0001 <= score <= 1.0001 for score in scores)
    (few,) = search(indexed / ".ragcli", [Query("tea")], min_score=scores[0] - 1e-6)
    assert [hit.stored.path for hit in few.hits] == [result.hits[0].stored.path]


def test_no_index_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError) as caught:
        list(search(tmp_path / ".ragcli", [Query("q")]))
    assert "ragcli index" in caught.value.remedy
