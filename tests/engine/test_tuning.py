"""Tuning on a corpus in which words count more than meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ragcli.engine.asking import AskOptions, ask
from ragcli.engine.evaluating_retrieval import evaluate_retrieval
from ragcli.engine.indexing import index_paths
from ragcli.engine.searching import DEFAULT_K, Query, search
from ragcli.engine.tuning import DEFAULT_SETTING, LEAST_K, Setting, keep, settings, tune
from ragcli.errors import IndexBusyError, IndexMissingError, InputError
from ragcli.records import Question
from ragcli.retrieval.ranking import Ranking
from ragcli.store import Index

CODES = [f"TX{4411 + 37 * n}" for n in range(24)]
TEA = "CODE: otters hold hands in green tea, brewed at 80 degrees (CODE, CODE)."
DECOYS = [
    f"The maintenance interval of {thing} is {n} months."
    for n, thing in enumerate(("pumps", "boilers", "lifts", "fans", "valves", "doors"), start=2)
]
MUSIC = (
    "In music an interval is the distance between two notes. "
    + "A choir sang in the old church at Easter, and many people came to hear it. " * 3
)
QUERIES = {code: f"maintenance interval {code}" for code in CODES}
QRELS: Mapping[str, Mapping[str, int]] = {code: {f"doc {code}": 1} for code in CODES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each code stands in one record among talk of tea; others seem to be what is asked for."""
    base = tmp_path_factory.mktemp("codes")
    rows = [{"id": f"doc {code}", "text": TEA.replace("CODE", code)} for code in CODES] + [
        {"id": f"decoy {n}", "text": text} for n, text in enumerate([*DECOYS, MUSIC])
    ]
    (base / "parts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    index_paths([base], base / ".ragcli")
    return base / ".ragcli"


def _first(folder: Path, ranking: Ranking = Ranking()) -> str:  # noqa: B008
    (result,) = search(folder, [Query(QUERIES[CODES[5]])], ranking=ranking)
    return result.hits[0].stored.document_id


def test_where_words_tell_more_they_get_more_weight_and_search_goes_by_it(folder: Path) -> None:
    assert _first(folder).startswith("decoy"), "else there is nothing to tune"
    tuning = tune(folder, QUERIES, QRELS)
    assert tuning.held_out is not None
    assert tuning.held_out.is_gain
    assert tuning.setting == tuning.chosen
    assert tuning.setting.dense_weight < 0.5
    assert tuning.means[tuning.setting] > tuning.means[DEFAULT_SETTING]
    assert _first(folder).startswith("decoy"), "tune itself writes nothing"
    keep(folder, tuning.tuned)
    try:
        assert _first(folder) == f"doc {CODES[5]}"
        assert _first(folder, Ranking(dense_weight=0.5, fusion="mean")).startswith("decoy")
        (shown,) = search(folder, [Query("tea")])
        assert len(shown.hits) == tuning.k == LEAST_K
        (more,) = search(folder, [Query("tea")], k=7)
        assert len(more.hits) == 7
        (answer,) = ask(folder, [Question(QUERIES[CODES[5]])], AskOptions())
        assert answer.passages[0].stored.document_id == f"doc {CODES[5]}"
        assert len(answer.passages) == AskOptions().k
    finally:
        keep(folder, None)
    assert _first(folder).startswith("decoy")
    (shown,) = search(folder, [Query("tea")])
    assert len(shown.hits) == DEFAULT_K


@pytest.mark.parametrize(
    "setting", [DEFAULT_SETTING, Setting("mean", 0.15), Setting("rrf", 0.7), Setting("rrf", 0.0)]
)
def test_a_mean_is_what_eval_retrieval_gives_for_that_setting(
    folder: Path, setting: Setting
) -> None:
    few = dict(list(QUERIES.items())[:6])
    tuning = tune(folder, few, QRELS)
    ranking = Ranking(fusion=setting.fusion, dense_weight=setting.dense_weight)
    (score,) = evaluate_retrieval(folder, few, QRELS, [ranking])
    assert tuning.means[setting] == pytest.approx(score.means["nDCG@10"])


def test_few_questions_keep_the_default_unless_the_person_insists(folder: Path) -> None:
    few = dict(list(QUERIES.items())[:6])
    tuning = tune(folder, few, QRELS)
    assert (tuning.n, tuning.held_out, tuning.tuned) == (6, None, None)
    assert (tuning.setting, tuning.k) == (DEFAULT_SETTING, DEFAULT_K)
    forced = tune(folder, few, QRELS, force=True)
    assert forced.setting == forced.best != DEFAULT_SETTING
    assert forced.tuned is not None
    assert (forced.tuned.n_questions, forced.tuned.k) == (6, LEAST_K)


def test_where_the_default_does_as_well_it_stays(folder: Path) -> None:
    queries = {code: f"green tea {code}" for code in CODES}
    tuning = tune(folder, queries, QRELS)
    assert tuning.means[DEFAULT_SETTING] == 1.0
    assert tuning.setting == DEFAULT_SETTING
    assert tuning.tuned is not None
    assert (tuning.tuned.fusion, tuning.tuned.dense_weight) == (None, None)
    assert tuning.tuned.k == LEAST_K


def test_success_and_recall_rise_with_the_passages(folder: Path) -> None:
    tuning = tune(folder, QUERIES, {code: {f"doc {code}": 1, "decoy 0": 1} for code in CODES})
    assert [depth.k for depth in tuning.depths] == list(range(1, 21))
    for before, after in zip(tuning.depths, tuning.depths[1:], strict=False):
        assert before.success <= after.success <= 1
        assert before.recall <= after.recall <= after.success


def test_the_default_is_tried_first_and_both_ends_are_tried() -> None:
    tried = settings()
    assert tried[0] == DEFAULT_SETTING
    assert len(set(tried)) == len(tried) == 42
    assert {Setting("mean", 0.0), Setting("mean", 1.0), Setting("rrf", 0.0)} <= set(tried)


def test_questions_whose_documents_the_index_lacks_do_not_count(folder: Path) -> None:
    told: list[str] = []
    qrels = {**QRELS, CODES[0]: {"absent": 1}, CODES[1]: {"gone": 0, f"doc {CODES[1]}": 2}}
    tuning = tune(folder, QUERIES, qrels, tell_missing=told.extend)
    assert (tuning.n, told) == (len(CODES) - 1, ["absent"])
    with pytest.raises(InputError, match="none of the judged documents, such as 'absent'"):
        tune(folder, QUERIES, {CODES[0]: {"absent": 1}})
    with pytest.raises(InputError, match="no document is judged relevant"):
        tune(folder, QUERIES, {CODES[0]: {f"doc {CODES[0]}": 0}})
    with pytest.raises(InputError, match="no query"):
        tune(folder, {"other": "tea"}, QRELS)


def test_another_writer_is_named(folder: Path) -> None:
    with Index.open(folder) as index:
        fingerprint = index.fingerprint
    with Index.create_or_open(folder, fingerprint), pytest.raises(IndexBusyError):
        keep(folder, None)


def test_no_index_is_made_by_keeping(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        keep(tmp_path / "none", None)
    assert not (tmp_path / "none").exists()


def test_a_rebuild_keeps_it(folder: Path) -> None:
    tuned = tune(folder, QUERIES, QRELS).tuned
    assert tuned is not None
    keep(folder, replace(tuned, k=7))
    try:
        index_paths([folder.parent], folder, rebuild=True)
        (shown,) = search(folder, [Query("tea")])
        assert len(shown.hits) == 7
    finally:
        keep(folder, None)
