"""An index follows its files: what is embedded, what is removed, what stays."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ragcli.corpus.loaders import RecordFields
from ragcli.corpus.walk import Selection
from ragcli.engine.comparing import Stream
from ragcli.engine.indexing import IndexReport, index_paths, preview_paths
from ragcli.engine.outcomes import Outcome
from ragcli.engine.searching import Query, search
from ragcli.errors import IndexMismatchError
from ragcli.store import Index

Write = Callable[..., Path]
FIXTURE = Path(__file__).parents[1] / "store" / "fixtures" / "schema-4"


def _update(folder: Path, *paths: Path, **options: object) -> IndexReport:
    arguments = {"seen_from": folder, **options}
    return index_paths(paths or [folder], folder / ".ragcli", **arguments)  # type: ignore[arg-type]


def _held(folder: Path) -> dict[str, list[tuple[str, str, tuple[float, ...]]]]:
    """Of each source its passages: document, text and vector."""
    found: dict[str, list[tuple[str, str, tuple[float, ...]]]] = {}
    with Index.open(folder / ".ragcli") as index:
        for source in index.sources():
            ids = [
                passage.passage_id
                for document in index.documents(source.path)
                for passage in index.document_passages(document.document_id)
                if passage.path == source.path
            ]
            vectors = index.vectors(ids)
            found[source.path] = [
                (stored.document_id, stored.passage.text, tuple(vector.tolist()))
                for stored, vector in zip(index.passages(ids), vectors, strict=True)
            ]
    return found


def _long_text(paragraphs: int) -> list[str]:
    """Paragraphs of which no two are alike, some long and some short as people write them."""
    words = "boiler kettle otter ledger harbour meadow lantern archive compass violin".split()
    return [
        " ".join(
            f"The {words[(n * 7 + k) % 10]} number {n * 31 + k} was noted."
            for k in range(3 + n * 7 % 11)
        )
        for n in range(paragraphs)
    ]


def test_a_renamed_file_embeds_nothing(corpus: Path) -> None:
    _update(corpus)
    before = _held(corpus)["docs/leave.md"]
    (corpus / "docs" / "leave.md").rename(corpus / "holiday.md")
    report = _update(corpus)
    assert (report.added, report.removed, report.passages_embedded) == (1, 1, 0)
    renamed = _held(corpus)["holiday.md"]
    assert [row[1:] for row in renamed] == [row[1:] for row in before]


def test_a_run_that_finds_nothing_new_writes_nothing(corpus: Path) -> None:
    _update(corpus)
    before = {file: file.read_bytes() for file in (corpus / ".ragcli").iterdir()}
    assert _update(corpus).unchanged == 3
    assert before == {file: file.read_bytes() for file in (corpus / ".ragcli").iterdir()}


def test_a_moved_folder_embeds_nothing(corpus: Path) -> None:
    _update(corpus)
    (corpus / "docs").rename(corpus / "archive")
    report = _update(corpus)
    assert (report.added, report.removed, report.passages_embedded) == (2, 2, 0)


def test_an_edit_embeds_its_neighbourhood_only(tmp_path: Path, write: Write) -> None:
    paragraphs = _long_text(120)
    write(tmp_path / "log.txt", "\n\n".join(paragraphs))
    whole = _update(tmp_path).passages_embedded
    assert whole >= 30
    paragraphs[60] += " And a sentence that nobody wrote before stands here as well."
    write(tmp_path / "log.txt", "\n\n".join(paragraphs), age=30)
    report = _update(tmp_path)
    assert report.updated == 1
    assert 1 <= report.passages_embedded <= whole // 4
    quiet = tmp_path / "quiet"
    write(quiet / "log.txt", "\n\n".join(paragraphs))
    _update(quiet)
    ours, anew = _held(tmp_path)["log.txt"], _held(quiet)["log.txt"]
    assert [row[1] for row in ours] == [row[1] for row in anew]
    assert np.allclose([r[2] for r in ours], [r[2] for r in anew], atol=1e-2)


def test_a_changed_record_leaves_the_others_as_they_are(tmp_path: Path, write: Write) -> None:
    rows = [{"id": str(n), "text": f"Fact number {n} of the ledger."} for n in range(40)]
    file = tmp_path / "facts.jsonl"
    write(file, "".join(json.dumps(row) + "\n" for row in rows))
    _update(tmp_path)
    rows[7]["text"] = "A fact that is new."
    del rows[20:22]
    rows.append({"id": "new", "text": "The newest fact."})
    write(file, "".join(json.dumps(row) + "\n" for row in rows), age=30)
    report = _update(tmp_path)
    assert report.passages_embedded == 2
    assert (report.documents_added, report.documents_removed) == (1, 2)
    assert [row[0] for row in sorted(_held(tmp_path)["facts.jsonl"], key=lambda row: row[0])] == (
        sorted(row["id"] for row in rows)
    )


def test_the_same_text_twice_is_embedded_once(tmp_path: Path, write: Write) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        write(tmp_path / name, "The same words in every file.\n")
    report = _update(tmp_path)
    assert (report.passages_added, report.passages_embedded) == (3, 1)
    vectors = {row[2] for rows in _held(tmp_path).values() for row in rows}
    assert len(vectors) == 1


def test_an_index_of_an_earlier_version_embeds_nothing_anew(tmp_path: Path) -> None:
    """Vectors and time stamps of a catalogue that knew no text hashes are as good as new ones."""
    shutil.copytree(FIXTURE / "docs", tmp_path / "moved")
    (tmp_path / ".ragcli").mkdir()
    shutil.copy(FIXTURE / "catalogue.sqlite", tmp_path / ".ragcli")
    report = _update(tmp_path)
    assert (report.added, report.removed, report.passages_embedded) == (3, 3, 0)
    (result,) = search(tmp_path / ".ragcli", [Query("holidays")], k=1, seen_from=tmp_path)
    assert result.hits[0].stored.path == "moved/leave.md"


def test_a_dry_run_tells_and_writes_nothing(corpus: Path, write: Write) -> None:
    told: list[Outcome] = []
    index = corpus / ".ragcli"
    report = preview_paths([corpus], index, seen_from=corpus, tell=told.append)
    assert (report.added, report.dry_run, index.exists()) == (3, True, False)
    _update(corpus)
    os.utime(corpus / "docs" / "boiler.txt", (1_000_000_000, 1_000_000_000))
    write(corpus / "tea.txt", "Coffee.\n", age=30)
    write(corpus / "new.txt", "New.\n")
    (corpus / "docs" / "leave.md").unlink()
    before = {file: file.read_bytes() for file in index.iterdir()}
    told.clear()
    report = preview_paths([corpus], index, seen_from=corpus, tell=told.append)
    assert {(each.path, each.status) for each in told} == {
        ("docs/boiler.txt", "unchanged"),
        ("tea.txt", "updated"),
        ("new.txt", "added"),
        ("docs/leave.md", "removed"),
    }
    assert before == {file: file.read_bytes() for file in index.iterdir()}
    done = _update(corpus)
    counts = ("added", "updated", "unchanged", "removed")
    assert [getattr(done, name) for name in counts] == [getattr(report, name) for name in counts]


def test_a_dry_run_refuses_what_the_run_would_refuse(corpus: Path) -> None:
    _update(corpus)
    with pytest.raises(IndexMismatchError, match="another/model"):
        preview_paths([corpus], corpus / ".ragcli", encoder_name="another/model")


def test_patterns_of_a_run_remove_nothing_that_is_still_there(corpus: Path) -> None:
    _update(corpus)
    (corpus / "docs" / "boiler.txt").unlink()
    report = _update(corpus, selection=Selection(include=("*.md",)))
    assert (report.unchanged, report.removed) == (1, 1)
    assert set(_held(corpus)) == {"docs/leave.md", "tea.txt"}


def test_a_file_that_grew_too_large_is_told_of_and_stays(corpus: Path, write: Write) -> None:
    _update(corpus)
    write(corpus / "tea.txt", "Tea. " * 300, age=30)
    report = _update(corpus, selection=Selection(max_file_size=1000))
    assert [skipped.path for skipped in report.skipped] == ["tea.txt"]
    assert (report.unchanged, report.removed, report.failed) == (2, 0, ())
    assert _held(corpus)["tea.txt"][0][1] == "Green tea is brewed at 80 degrees.\n"


def test_what_is_ignored_from_now_on_is_removed(corpus: Path) -> None:
    _update(corpus)
    (corpus / ".ragcliignore").write_text("tea.txt\n", "utf-8")
    assert _update(corpus).removed == 1


def _piped(folder: Path, name: str, text: str, *, whole: bool = True) -> Stream:
    file = folder / "pipe" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return Stream(file, name, whole=whole)


def test_what_comes_through_a_pipe_is_no_file_of_a_folder(
    corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    piped = _piped(elsewhere, "note.md", "# Otters\n\nThey hold hands.\n")
    index_paths([], corpus / ".ragcli", streams=[piped], seen_from=corpus)
    report = _update(corpus)
    assert (report.added, report.removed) == (3, 0)
    (result,) = search(corpus / ".ragcli", [Query("otters")], k=1, seen_from=elsewhere)
    assert result.hits[0].stored.path == "stdin:note.md"
    changed = _piped(elsewhere, "note.md", "# Otters\n\nThey swim.\n")
    index_paths([], corpus / ".ragcli", streams=[changed])
    assert [row[1] for row in _held(corpus)["stdin:note.md"]] == ["# Otters\n\nThey swim.\n"]


def test_records_from_a_pipe_join_those_that_came_before(
    corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for rows in ([("a", "One."), ("b", "Two.")], [("b", "Two and a half."), ("c", "Three.")]):
        text = "".join(json.dumps({"id": name, "text": words}) + "\n" for name, words in rows)
        piped = _piped(elsewhere, "records.jsonl", text, whole=False)
        report = index_paths([], corpus / ".ragcli", streams=[piped], fields=RecordFields())
    assert (report.documents_added, report.documents_updated, report.documents_removed) == (1, 1, 0)
    rows_held = sorted((row[0], row[1]) for row in _held(corpus)["stdin:records.jsonl"])
    assert rows_held == [("a", "One."), ("b", "Two and a half."), ("c", "Three.")]


def test_the_first_failure_ends_a_run_that_is_to_fail_fast(corpus: Path) -> None:
    (corpus / "a.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
    report = _update(corpus, fail_fast=True)
    assert [failed.path for failed in report.failed] == ["a.pdf"]
    assert report.added < 3
    (corpus / "a.pdf").unlink()
    assert _update(corpus).added == 3 - report.added


def test_every_file_is_told_of_with_its_outcome(corpus: Path, write: Write) -> None:
    (corpus / "bad.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
    write(corpus / "facts.jsonl", '{"id": "a", "text": "Otters."}\n{broken\n')
    told: list[Outcome] = []
    _update(corpus, tell=told.append)
    assert [(each.path, each.status, each.documents) for each in told if each.documents != 1] == [
        ("bad.pdf", "failed", 0),
        ("facts.jsonl", "failed", 0),
    ]
    assert {each.path for each in told if each.documents == 1} == {
        "docs/boiler.txt",
        "docs/leave.md",
        "facts.jsonl",
        "tea.txt",
    }


def test_the_report_counts_documents_passages_and_seconds(corpus: Path) -> None:
    report = _update(corpus)
    assert (report.documents_added, report.passages_added, report.passages_embedded) == (3, 3, 3)
    assert list(report.seconds_by_stage) == ["walk", "read", "embed", "write", "derive"]
    assert 0 < sum(report.seconds_by_stage.values()) <= report.seconds
    again = _update(corpus)
    assert (again.documents_unchanged, again.passages_unchanged) == (3, 3)
    assert again.seconds_by_stage["embed"] == 0


@pytest.mark.parametrize(("version", "files"), [("schema-4", 3), ("schema-5", 5)])
def test_an_index_of_an_earlier_version_is_brought_in_step_without_embedding(
    tmp_path: Path, version: str, files: int
) -> None:
    fixture = Path(__file__).parent.parent / "store" / "fixtures" / version
    shutil.copytree(fixture, tmp_path / ".ragcli", ignore=shutil.ignore_patterns("docs"))
    shutil.copytree(fixture / "docs", tmp_path / "docs")
    report = index_paths([tmp_path / "docs"], tmp_path / ".ragcli")
    assert (report.unchanged, report.passages_embedded) == (files, 0)
