from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ragcli.corpus.loaders import RecordFields
from ragcli.engine.indexing import IndexReport, folder_to_write, index_paths
from ragcli.engine.progress import IndexProgress
from ragcli.engine.searching import Query, search
from ragcli.errors import IndexMismatchError, UsageError
from ragcli.store import Index

Write = Callable[..., Path]


def _update(folder: Path, *paths: Path, **options: object) -> IndexReport:
    arguments = {"seen_from": folder, **options}
    return index_paths(paths or [folder], folder / ".ragcli", **arguments)  # type: ignore[arg-type]


def _counts(report: IndexReport) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed


def _best(folder: Path, query: str) -> str:
    (result,) = search(folder / ".ragcli", [Query(query)], k=1, seen_from=folder)
    return result.hits[0].stored.path


def _texts(folder: Path) -> dict[str, list[str]]:
    """What the index holds: the texts of each source's documents."""
    with Index.open(folder / ".ragcli") as index:
        return {
            source.path: [document.text for document in index.documents(source.path)]
            for source in index.sources()
        }


def test_what_was_indexed_is_found(corpus: Path) -> None:
    report = _update(corpus)
    assert _counts(report) == (3, 0, 0, 0)
    assert (report.passages_added, report.passages_removed, report.failed) == (3, 0, ())
    assert report.index == corpus / ".ragcli"
    assert _best(corpus, "how much holiday do I get?") == "docs/leave.md"
    assert _best(corpus, "heating maintenance") == "docs/boiler.txt"


def test_a_second_run_changes_nothing(corpus: Path) -> None:
    _update(corpus)
    report = _update(corpus)
    assert _counts(report) == (0, 0, 3, 0)
    assert (report.passages_added, report.passages_removed) == (0, 0)


def test_changed_files_are_replaced_and_vanished_ones_removed(corpus: Path, write: Write) -> None:
    _update(corpus)
    write(corpus / "tea.txt", "Coffee is brewed at 95 degrees.\n", age=30)
    write(corpus / "new.txt", "A new file.\n")
    (corpus / "docs" / "boiler.txt").unlink()
    report = _update(corpus)
    assert _counts(report) == (1, 1, 1, 1)
    assert (report.passages_added, report.passages_removed) == (2, 2)
    assert _texts(corpus) == {
        "docs/leave.md": ["# Leave\n\nEvery employee has 25 days of paid leave a year.\n"],
        "new.txt": ["A new file.\n"],
        "tea.txt": ["Coffee is brewed at 95 degrees.\n"],
    }


def test_a_new_time_stamp_alone_changes_nothing(corpus: Path) -> None:
    _update(corpus)
    os.utime(corpus / "tea.txt", (1_000_000_000, 1_000_000_000))
    assert _counts(_update(corpus)) == (0, 0, 3, 0)
    with Index.open(corpus / ".ragcli") as index:
        source = index.source("tea.txt")
    assert source is not None
    assert source.modified_ns == 1_000_000_000 * 10**9


def test_a_change_within_the_clocks_grain_is_seen(corpus: Path) -> None:
    file = corpus / "tea.txt"
    file.write_text("Tea: 80 degrees.\n", "utf-8")
    fresh = file.stat()
    _update(corpus)
    file.write_text("Tea: 95 degrees.\n", "utf-8")
    os.utime(file, ns=(fresh.st_atime_ns, fresh.st_mtime_ns))
    assert _counts(_update(corpus)) == (0, 1, 2, 0)
    assert _texts(corpus)["tea.txt"] == ["Tea: 95 degrees.\n"]


def test_only_what_lies_beneath_the_named_paths_is_removed(corpus: Path) -> None:
    _update(corpus)
    (corpus / "tea.txt").unlink()
    assert _counts(_update(corpus, corpus / "docs")) == (0, 0, 2, 0)
    assert "tea.txt" in _texts(corpus)
    assert _counts(_update(corpus)) == (0, 0, 2, 1)
    assert "tea.txt" not in _texts(corpus)


def test_a_path_that_is_missing_is_told_and_removes_nothing(corpus: Path) -> None:
    _update(corpus)
    (corpus / "tea.txt").unlink()
    report = _update(corpus, corpus / "docs", corpus / "tea.txt")
    assert _counts(report) == (0, 0, 2, 0)
    assert [problem.path for problem in report.failed] == ["tea.txt"]
    assert "tea.txt" in _texts(corpus)


def test_a_bad_file_is_told_and_the_rest_goes_on(corpus: Path) -> None:
    (corpus / "docs" / "broken.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
    report = _update(corpus)
    assert _counts(report) == (3, 0, 0, 0)
    assert [problem.path for problem in report.failed] == ["docs/broken.pdf"]
    assert report.failed[0].reason
    assert len(_update(corpus).failed) == 1, "told again while it stays broken"


def test_a_file_that_turned_bad_keeps_its_old_content(corpus: Path, write: Write) -> None:
    records = corpus / "facts.jsonl"
    write(records, json.dumps({"id": "a", "text": "Otters hold hands."}) + "\n")
    _update(corpus)
    records.write_bytes(b"\x00\x01\x02\xff" * 100)
    for rebuild in (False, True):
        report = _update(corpus, rebuild=rebuild)
        assert {problem.path.partition(":")[0] for problem in report.failed} == {"facts.jsonl"}
        assert _texts(corpus)["facts.jsonl"] == ["Otters hold hands."]
    assert _best(corpus, "what do otters do") == "facts.jsonl"


def test_a_bad_record_is_told_from_where_the_person_stands(corpus: Path, write: Write) -> None:
    write(corpus / "docs" / "facts.jsonl", '{"id": "a", "text": "Otters."}\n{broken\n')
    report = _update(corpus, seen_from=corpus / "docs")
    assert len(report.failed) == 1
    assert report.failed[0].path.startswith("facts.jsonl")
    assert _texts(corpus)["docs/facts.jsonl"] == ["Otters."]


def test_record_fields_are_remembered_until_others_are_named(corpus: Path, write: Write) -> None:
    row = {"key": "k1", "body": "Otters hold hands.", "text": "short"}
    write(corpus / "facts.jsonl", json.dumps(row) + "\n")
    _update(corpus, fields=RecordFields(id="key", text="body"))
    assert _texts(corpus)["facts.jsonl"] == ["Otters hold hands."]
    assert _counts(_update(corpus)) == (0, 0, 4, 0)
    assert _counts(_update(corpus, fields=RecordFields(text="text"))) == (0, 1, 3, 0)
    assert _texts(corpus)["facts.jsonl"] == ["short"]


def test_a_rebuild_embeds_everything_and_loses_nothing(corpus: Path) -> None:
    _update(corpus)
    before = _texts(corpus)
    (corpus / "tea.txt").unlink()
    report = _update(corpus, corpus / "docs", rebuild=True)
    assert _counts(report) == (0, 2, 0, 0)
    assert (report.passages_added, report.passages_removed) == (3, 3)
    assert _texts(corpus) == before
    assert _best(corpus, "how hot should the water be for tea?") == "tea.txt"


def test_a_rebuild_removes_what_vanished_beneath_its_paths(corpus: Path) -> None:
    _update(corpus)
    (corpus / "tea.txt").unlink()
    assert _counts(_update(corpus, rebuild=True)) == (0, 2, 0, 1)
    assert "tea.txt" not in _texts(corpus)


def test_another_encoder_is_refused_before_it_is_loaded(corpus: Path) -> None:
    _update(corpus)
    with pytest.raises(IndexMismatchError) as caught:
        _update(corpus, encoder_name="another/model")
    assert "another/model" in caught.value.message
    assert "--rebuild" in caught.value.remedy
    with pytest.raises(IndexMismatchError, match="another/model"):
        list(search(corpus / ".ragcli", [Query("q")], encoder_name="another/model"))


def test_another_index_type_needs_no_embedding_and_is_kept(corpus: Path) -> None:
    for number in range(5):
        (corpus / f"{number}.txt").write_text(f"Number {number} is a number.\n", "utf-8")
    _update(corpus)
    report = _update(corpus, index_type="HNSW", recall=0.9)
    assert report.passages_added == 0
    for _ in range(2):
        with Index.open(corpus / ".ragcli") as index:
            made_as = index.summary().derivation
        assert made_as is not None
        assert (made_as.kind, made_as.requested_recall) == ("hnsw", 0.9)
        _update(corpus)
    assert _best(corpus, "heating maintenance") == "docs/boiler.txt"


@pytest.mark.parametrize("choice", [{"index_type": "IVF,what"}, {"recall": 2.0}])
def test_a_choice_that_cannot_be_meant_is_refused_before_anything_is_written(
    corpus: Path, choice: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        _update(corpus, **choice)
    assert not (corpus / ".ragcli").exists()


def test_nothing_to_index_makes_no_index(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(UsageError, match="nothing to index"):
        _update(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        _update(tmp_path, tmp_path / "missing")
    assert not (tmp_path / ".ragcli").exists()


def test_many_passages_come_in_batches_and_progress_reaches_its_totals(
    tmp_path: Path, write: Write
) -> None:
    rows = [{"id": str(n), "text": f"Fact number {n}."} for n in range(300)]
    write(tmp_path / "facts.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(tmp_path / "note.txt", "A note.\n")
    told: list[IndexProgress] = []
    report = _update(tmp_path, progress=told.append)
    assert report.passages_added == 301
    assert [p.passages for p in told] == sorted(p.passages for p in told)
    assert 256 in {p.passages for p in told}, "a large file shows progress within it"
    last = told[-1]
    assert (last.files_done, last.files_total, last.passages) == (2, 2, 301)
    assert last.bytes_done == last.bytes_total > 0
    assert _best(tmp_path, "Fact number 123.") == "facts.jsonl"


def test_an_empty_file_is_indexed_once(corpus: Path, write: Write) -> None:
    write(corpus / "empty.txt", "\n")
    assert _counts(_update(corpus)) == (4, 0, 0, 0)
    assert _counts(_update(corpus)) == (0, 0, 4, 0)


def test_the_index_to_write_is_the_nearest_above_else_a_new_one_here(corpus: Path) -> None:
    deep = corpus / "docs"
    assert folder_to_write(None, deep) == deep / ".ragcli"
    assert folder_to_write(corpus / "x", deep) == corpus / "x"
    _update(corpus)
    assert folder_to_write(None, deep) == corpus / ".ragcli"
