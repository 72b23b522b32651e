from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragcli.engine.merging import BATCH_PASSAGES, MergeProgress, MergeReport, merge_indexes
from ragcli.errors import IndexBusyError, IndexMismatchError, IndexMissingError
from ragcli.store import INCOMPLETE, Index, SourceState, absolute_path, stored_path

if TYPE_CHECKING:
    from conftest import Holding

    from ragcli.records import Document

NAMES = ("a.md", "b/ü.txt", "c\udcff.pdf", "rows.jsonl")
PARTS = ("one", "two/deep", "three")


@dataclass(frozen=True)
class File:
    """A file as an index holds it: beneath the index's own folder, or elsewhere."""

    name: str
    texts: Sequence[str]
    content_hash: str = "hash"
    age: int = 0

    def documents(self, hold: Holding, path: str) -> list[Document]:
        if not self.name.endswith(".jsonl"):
            return [hold.document(path, "\n\n".join(self.texts), title=self.name[:2])]
        ids = [f"{path}#{n}" if n % 2 else f"id {n}" for n in range(len(self.texts))]
        return [
            hold.document(path, text, record_id)
            for record_id, text in zip(ids, self.texts, strict=True)
        ]


def _make(hold: Holding, folder: Path, files: Mapping[Path, File]) -> Path:
    """An index of these files, by their places on the disk."""
    with Index.create_or_open(folder, hold.fingerprint) as index:
        for place, file in files.items():
            documents = file.documents(hold, stored_path(place, folder))
            hold.put(index, *documents, content_hash=file.content_hash, age=file.age)
        index.commit()
    return folder


def _held(folder: Path) -> dict[str, Any]:
    """All that an index holds, by the place on the disk; paths are left out of the rest."""
    held = {}
    with Index.open(folder) as index:
        for state in index.sources():
            place = str(absolute_path(state.path, folder))
            documents = {}
            for document, passages, vectors in index.embedded_documents(state.path):
                assert document.path == state.path
                name = document.document_id.replace(state.path, place)
                bare = replace(document, path="", document_id="")
                documents[name] = (bare, tuple(passages), vectors.tobytes())
            held[place] = (replace(state, path=""), documents)
        _assert_searchable(index)
    return held


def _assert_searchable(index: Index) -> None:
    """Vectors and words are found of exactly the passages that there are."""
    ids = sorted(passage_id for passage_id, *_ in index.passage_documents())
    assert index.summary().passages == len(ids)
    if ids:
        found = index.search(index.vectors(ids[:1]), len(ids) + 1)[0]
        assert sorted(passage_id for passage_id, _ in found) == ids


def _total(report: MergeReport) -> int:
    files = report.added + report.replaced + report.unchanged
    return files + report.kept + report.superseded


@pytest.fixture(scope="module")
def fresh() -> Iterator[Callable[[], Path]]:
    """Folders of their own for each example of a property."""
    with tempfile.TemporaryDirectory() as name:
        base, count = Path(name).resolve(), iter(range(10**6))
        yield lambda: base / str(next(count))


_texts = st.lists(
    st.sampled_from(["Otters.", "They swim.", "ü \udcff", "x" * 50]), min_size=1, max_size=4
)
_files = st.builds(
    File,
    st.sampled_from(NAMES),
    _texts,
    st.sampled_from(["hash", "other", INCOMPLETE]),
    st.integers(0, 3),
)


@settings(max_examples=25)
@given(
    placed=st.lists(
        st.tuples(st.sampled_from(PARTS), st.sampled_from(["", "elsewhere"]), _files),
        max_size=8,
        unique_by=lambda one: (one[1] or one[0], one[2].name),
    )
)
def test_merged_parts_are_the_index_of_the_whole(
    hold: Holding, fresh: Callable[[], Path], placed: list[tuple[str, str, File]]
) -> None:
    base = fresh()
    parts: dict[str, dict[Path, File]] = {part: {} for part in PARTS}
    for part, elsewhere, file in placed:
        parts[part][base / (elsewhere or part) / file.name] = file
    folders = [_make(hold, base / part / ".ragcli", files) for part, files in parts.items()]
    everything = {place: file for files in parts.values() for place, file in files.items()}
    whole = _make(hold, base / ".ragcli", everything)
    target = base / "target" / ".ragcli"
    report = merge_indexes(folders, target)
    assert _held(target) == _held(whole)
    assert (report.added, report.indexes) == (len(everything), len(PARTS))
    with Index.open(target) as merged:
        assert report.passages_added == merged.passage_count()
        paths = {state.path for state in merged.sources()}
        generation = merged.generation
    assert paths == {stored_path(place, target) for place in everything}
    again = merge_indexes(folders, target)
    assert (again.added, again.replaced, again.kept) == (0, 0, 0)
    assert again.unchanged == len(everything)
    with Index.open(target) as merged:
        assert merged.generation == generation


@settings(max_examples=40)
@given(
    versions=st.lists(st.tuples(st.sampled_from(["target", *PARTS]), _files), max_size=10),
    stop=st.integers(1, 8),
)
@example(
    versions=[
        ("target", File("a.md", ["Otters."], "other", 1)),
        ("one", File("a.md", ["Otters swim."], "hash", 1)),
        ("two/deep", File("a.md", ["Otters swim."], "hash", 0)),
    ],
    stop=1,
)
def test_the_newest_whole_version_of_a_file_is_taken_also_after_an_interruption(
    hold: Holding, fresh: Callable[[], Path], versions: list[tuple[str, File]], stop: int
) -> None:
    base = fresh()
    parts: dict[str, dict[Path, File]] = {part: {} for part in ("target", *PARTS)}
    for part, file in versions:
        parts[part][base / file.name] = file
    made = {part: _make(hold, base / part / ".ragcli", files) for part, files in parts.items()}
    target = made.pop("target")

    def interrupt(now: MergeProgress) -> None:
        if now.files_done == stop:
            raise KeyboardInterrupt

    expected = _winners(hold, parts)
    try:
        report = merge_indexes(list(made.values()), target, progress=interrupt)
        assert _total(report) == sum(len(parts[part]) for part in PARTS)
    except KeyboardInterrupt:
        merge_indexes(list(made.values()), target)
    held = _held(target)
    assert {place: state for place, (state, _) in held.items()} == expected
    candidates = [_held(folder) for folder in made.values()]
    for place, version in held.items():
        if version[0].content_hash != INCOMPLETE and Path(place) not in parts["target"]:
            assert version in [candidate.get(place) for candidate in candidates]


def _winners(hold: Holding, parts: dict[str, dict[Path, File]]) -> dict[str, SourceState]:
    """The version of each file that a merge ends with: the newest, or the target's own."""
    expected = {
        str(place): hold.source("", file.content_hash, file.age)
        for place, file in parts["target"].items()
    }
    newest: dict[str, SourceState] = {}
    for part in PARTS:
        for place, file in parts[part].items():
            state = hold.source("", file.content_hash, file.age)
            if _worth(state) > _worth(newest.setdefault(str(place), state)):
                newest[str(place)] = state
    for name, state in newest.items():
        before = expected.setdefault(name, state)
        if _worth(state) > _worth(before) and not _same(state, before):
            expected[name] = state
    return expected


def _worth(state: SourceState) -> tuple[bool, int]:
    return state.content_hash != INCOMPLETE, state.modified_ns


def _same(one: SourceState, other: SourceState) -> bool:
    return one.content_hash == other.content_hash != INCOMPLETE


def _two(hold: Holding, base: Path, ours: File, theirs: File) -> tuple[MergeReport, Path]:
    """What becomes of a file of which the target holds one version and an index another."""
    target = _make(hold, base / "ours" / ".ragcli", {base / "a.md": ours})
    folder = _make(hold, base / "theirs" / ".ragcli", {base / "a.md": theirs})
    return merge_indexes([folder], target), target


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        (("same", 0), ("same", 0), "unchanged"),
        (("same", 9), ("same", 0), "unchanged"),
        (("old", 9), ("new", 0), "replaced"),
        (("new", 0), ("old", 9), "kept"),
        (("one", 0), ("other", 0), "kept"),
        ((INCOMPLETE, 0), ("old", 9), "replaced"),
        (("old", 9), (INCOMPLETE, 0), "kept"),
        ((INCOMPLETE, 9), (INCOMPLETE, 0), "replaced"),
        ((INCOMPLETE, 0), (INCOMPLETE, 9), "kept"),
    ],
)
def test_of_two_versions_one_is_taken_and_told(
    hold: Holding, tmp_path: Path, ours: tuple[str, int], theirs: tuple[str, int], outcome: str
) -> None:
    our_file, their_file = File("a.md", ["ours"], *ours), File("a.md", ["theirs"], *theirs)
    report, target = _two(hold, tmp_path, our_file, their_file)
    told = {name: getattr(report, name) for name in ("unchanged", "replaced", "kept", "added")}
    assert told == {name: int(name == outcome) for name in told}
    taken = outcome == "replaced"
    assert (report.passages_added, report.passages_removed) == (int(taken), int(taken))
    with Index.open(target) as index:
        [document] = index.documents(index.sources()[0].path)
    assert document.text == ("theirs" if taken else "ours")


def test_what_only_the_older_version_held_goes_with_it(hold: Holding, tmp_path: Path) -> None:
    ours = File("r.jsonl", ["one", "two", "three"], "old", 9)
    theirs = File("r.jsonl", ["one", "zwei"], "new", 0)
    report, target = _two(hold, tmp_path, ours, theirs)
    assert (report.replaced, report.passages_added, report.passages_removed) == (1, 1, 2)
    with Index.open(target) as index:
        assert [each.text for each in index.documents(index.sources()[0].path)] == ["one", "zwei"]


def test_a_record_that_was_removed_does_not_come_back_with_the_same_file(
    hold: Holding, tmp_path: Path
) -> None:
    rows = File("r.jsonl", ["one", "two"])
    folders = [
        _make(hold, tmp_path / name / ".ragcli", {tmp_path / "r.jsonl": rows}) for name in "ab"
    ]
    with Index.create_or_open(folders[0], hold.fingerprint) as index:
        path = index.sources()[0].path
        assert index.remove_document(path, "id 0") == 1
        index.commit()
    assert merge_indexes(folders[1:], folders[0]).unchanged == 1
    with Index.open(folders[0]) as index:
        assert [each.text for each in index.documents(path)] == ["two"]


def test_what_came_through_a_pipe_keeps_its_name(hold: Holding, tmp_path: Path) -> None:
    folder = hold(tmp_path / "a" / ".ragcli", hold.document("stdin:notes.txt", "Noted."))
    merge_indexes([folder], tmp_path / ".ragcli")
    with Index.open(tmp_path / ".ragcli") as index:
        assert [each.document_id for each in index.documents("stdin:notes.txt")] == [
            "stdin:notes.txt"
        ]


def test_members_of_an_archive_are_renamed_with_it(hold: Holding, tmp_path: Path) -> None:
    member = hold.document("docs.zip", "A member.", "docs.zip/read.me")
    own = hold.document("docs.zip", "A record.", "docs.zipper")
    hold(tmp_path / "a" / ".ragcli", member, own)
    merge_indexes([tmp_path / "a"], tmp_path / ".ragcli")
    with Index.open(tmp_path / ".ragcli") as index:
        ids = [document.document_id for document in index.documents("a/docs.zip")]
    assert ids == ["a/docs.zip/read.me", "docs.zipper"]


def test_an_index_merged_with_itself_or_named_twice_has_nothing_to_add(
    hold: Holding, tmp_path: Path
) -> None:
    folder = hold(tmp_path / ".ragcli", hold.document("a.md", "One."))
    with Index.create_or_open(folder, hold.fingerprint):  # it is not even opened for writing
        report = merge_indexes([folder, tmp_path], folder)
    assert (report.indexes, _total(report)) == (0, 0)
    report = merge_indexes([folder, tmp_path], tmp_path / "b" / ".ragcli")
    assert (report.indexes, report.added) == (1, 1)
    with pytest.raises(IndexMissingError):
        merge_indexes([tmp_path / "none"], tmp_path / "none")


def test_another_fingerprint_is_refused_by_name_before_anything_is_written(
    hold: Holding, tmp_path: Path
) -> None:
    other = replace(hold.fingerprint, encoder_revision="revision-2", max_tokens=99)
    ours = hold(tmp_path / "ours", hold.document("a.md", "One."))
    theirs = hold(tmp_path / "theirs", hold.document("b.md", "Two."), fingerprint=other)
    third = hold(tmp_path / "third", hold.document("c.md", "Three."))
    before = (ours / "catalogue.sqlite").read_bytes()
    for folders, target in (
        ([third, theirs], ours),
        ([theirs], ours),
        ([third, theirs], tmp_path / "new"),
    ):
        with pytest.raises(IndexMismatchError) as raised:
            merge_indexes(folders, target)
        assert "encoder revision 'revision-2', not 'revision-1'" in raised.value.message
        assert "max tokens 99, not 200" in raised.value.message
        assert str(theirs) in raised.value.message
    assert (ours / "catalogue.sqlite").read_bytes() == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", ["missing", "no database", "another database"])
def test_all_indexes_are_looked_at_first(hold: Holding, tmp_path: Path, damage: str) -> None:
    good = hold(tmp_path / "good", hold.document("a.md", "One."))
    bad = tmp_path / "bad"
    if damage != "missing":
        bad.mkdir()
    if damage == "no database":
        (bad / "catalogue.sqlite").write_bytes(b"x" * 10_000)
    if damage == "another database":
        with closing(sqlite3.connect(bad / "catalogue.sqlite")) as connection:
            connection.execute("CREATE TABLE t (x)")
    with pytest.raises((IndexMissingError, IndexMismatchError)):
        merge_indexes([good, bad], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_writer_at_work_in_the_target_is_told(hold: Holding, tmp_path: Path) -> None:
    folder = hold(tmp_path / "a", hold.document("a.md", "One."))
    target = hold(tmp_path / "b")
    with Index.create_or_open(target, hold.fingerprint), pytest.raises(IndexBusyError):
        merge_indexes([folder], target)
    with Index.create_or_open(folder, hold.fingerprint):  # writing to the other does no harm
        assert merge_indexes([folder], target).added == 1


def test_damage_that_is_met_midway_leaves_what_was_committed_and_another_goes_on(
    hold: Holding, tmp_path: Path
) -> None:
    rows = File("r.jsonl", [f"row {n}" for n in range(3 * BATCH_PASSAGES)])
    folder = _make(hold, tmp_path / "a", {tmp_path / "r.jsonl": rows})
    target = tmp_path / "b"
    position = 2 * BATCH_PASSAGES + 7
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection, connection:
        [(vector,)] = connection.execute("SELECT vector FROM vectors WHERE rowid = ?", (position,))
        connection.execute("UPDATE vectors SET vector = x'00' WHERE rowid = ?", (position,))
    with pytest.raises(IndexMismatchError, match="is damaged"):
        merge_indexes([folder], target)
    with Index.open(target) as index:
        assert index.sources()[0].content_hash == INCOMPLETE
        assert index.passage_count() == 2 * BATCH_PASSAGES
        _assert_searchable(index)
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection, connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE rowid = ?", (vector, position))
    report = merge_indexes([folder], target)
    assert (report.replaced, report.passages_added) == (1, BATCH_PASSAGES)
    assert _held(target) == _held(folder)


def test_text_that_does_not_fit_its_document_counts_as_damage(
    hold: Holding, tmp_path: Path
) -> None:
    folder = hold(tmp_path / "a", hold.document("a.md", "One."))
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection, connection:
        connection.execute("UPDATE documents SET text = 'Another'")
    with pytest.raises(IndexMismatchError, match="is damaged: document") as raised:
        merge_indexes([folder], tmp_path / "b")
    assert "ragcli doctor --repair --index" in raised.value.remedy


def test_progress_ends_with_all_files(hold: Holding, tmp_path: Path) -> None:
    folder = hold(tmp_path / "a", *(hold.document(f"{n}.md", "One.\n\nTwo.") for n in range(3)))
    told: list[MergeProgress] = []
    merge_indexes([folder], tmp_path / "b", progress=told.append)
    assert told[-1] == MergeProgress(3, 3, 6)
    assert [now.files_done for now in told] == [1, 2, 3]
