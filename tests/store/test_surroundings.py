"""What lies beside an index, who writes it, and how its vectors stand to it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragcli.errors import IndexMissingError, IndexOutdatedError
from ragcli.store import (
    DAMAGED,
    INCOMPLETE,
    NOTE,
    SOUND,
    Finding,
    Index,
    SourceState,
    check_folder,
    check_surroundings,
    locked,
    readable_fingerprint,
    remove_leftovers,
)
from ragcli.store import surroundings as module

if TYPE_CHECKING:
    from conftest import Bench

FIXTURES = Path(__file__).with_name("fixtures")


@pytest.fixture
def folder(tmp_path: Path, bench: Bench) -> Path:
    folder = tmp_path / "index"
    _put(folder, bench, "a.txt", seed=1)
    return folder


def _put(folder: Path, bench: Bench, path: str, seed: int) -> None:
    with Index.create_or_open(folder, bench.fingerprint) as index:
        bench.fill(index, path, bench.unit(5, seed))
        index.commit()


def _of(folder: Path, check: str) -> list[Finding]:
    found = [*check_folder(folder), *check_surroundings(folder)]
    return [one for one in found if one.check == check]


def test_all_is_well(folder: Path) -> None:
    found = [*check_folder(folder), *check_surroundings(folder)]
    assert [one.state for one in found] == [SOUND] * 8
    assert [one.check for one in found] == [
        "catalogue", "files", "documents", "words", "vectors.faiss", "lock", "folder", "space",
    ]  # fmt: skip
    assert all(one.remedy == "" for one in found)


def test_an_empty_index_is_sound(tmp_path: Path, bench: Bench) -> None:
    Index.create_or_open(tmp_path, bench.fingerprint).close()
    assert {one.state for one in check_folder(tmp_path)} == {SOUND}


def test_where_there_is_no_index_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        list(check_folder(tmp_path))
    assert readable_fingerprint(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_an_older_index_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FIXTURES / "schema-4", tmp_path / "index"))
    with pytest.raises(IndexOutdatedError):
        list(check_folder(folder))
    fingerprint = readable_fingerprint(folder)
    assert fingerprint is not None
    assert fingerprint.encoder_name == "all-MiniLM-L6-v2"


def test_files_that_are_not_all_in_place_are_named(folder: Path, bench: Bench) -> None:
    with Index.create_or_open(folder, bench.fingerprint) as index:
        index.begin_source(SourceState("long\udcff.txt", INCOMPLETE, 1, 1))
        index.commit()
    [note] = _of(folder, "files")
    assert (note.state, note.paths) == (NOTE, ("long\udcff.txt",))
    assert "ragcli index" in note.remedy


# -- vectors.faiss ---------------------------------------------------------------------------


def test_missing_vectors_are_no_damage(folder: Path) -> None:
    (folder / "vectors.faiss").unlink()
    assert [one.state for one in _of(folder, "vectors.faiss")] == [NOTE]


@pytest.mark.parametrize("at", [0, 0.5, 0.999])
def test_damaged_vectors_are_damage(folder: Path, at: float) -> None:
    file = folder / "vectors.faiss"
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= 1
    file.write_bytes(content)
    assert [one.state for one in _of(folder, "vectors.faiss")] == [DAMAGED]


def test_vectors_cut_short_are_damage(folder: Path) -> None:
    file = folder / "vectors.faiss"
    file.write_bytes(file.read_bytes()[:-1])
    assert [one.state for one in _of(folder, "vectors.faiss")] == [DAMAGED]


def test_vectors_of_another_commit_or_index_are_no_damage(
    folder: Path, tmp_path: Path, bench: Bench
) -> None:
    earlier = (folder / "vectors.faiss").read_bytes()
    _put(folder, bench, "b.txt", seed=2)
    (folder / "vectors.faiss").write_bytes(earlier)
    [note] = _of(folder, "vectors.faiss")
    assert (note.state, note.detail.split(";")[0]) == (NOTE, "is of another commit")
    _put(tmp_path / "other", bench, "a.txt", seed=1)
    shutil.copy(tmp_path / "other" / "vectors.faiss", folder)
    [note] = _of(folder, "vectors.faiss")
    assert (note.state, note.detail.split(";")[0]) == (NOTE, "is of another index")


# -- the folder ------------------------------------------------------------------------------


def test_what_a_killed_run_left_is_told_and_removed(folder: Path) -> None:
    names = ("vectors.faiss.07.tmp", "imported.sqlite", "salvaged.sqlite-wal", "write.holder.tmp")
    for name in names:
        (folder / name).write_bytes(b"left")
    [note] = _of(folder, "leftovers")
    assert note.state == NOTE
    assert remove_leftovers(folder) == len(names)
    assert _of(folder, "leftovers") == []
    assert {file.name for file in folder.iterdir()} == {
        "catalogue.sqlite",
        "vectors.faiss",
        "write.lock",
    }


def test_who_holds_the_lock_is_told_and_left_alone(folder: Path) -> None:
    with locked(folder):
        holder = json.loads((folder / "write.holder.json").read_text())
        [note] = _of(folder, "lock")
        assert note.state == NOTE
        assert (
            note.detail
            == f"is being written by process {holder['pid']} since " + (holder["started"])
        )
        assert json.loads((folder / "write.holder.json").read_text()) == holder


def test_a_holder_that_died_is_told(folder: Path) -> None:
    (folder / "write.holder.json").write_text('{"pid": 7, "started": "yesterday"}')
    [note] = _of(folder, "lock")
    assert note.state == NOTE
    assert "process 7 since yesterday ended without a word" in note.detail
    with locked(folder):
        pass
    assert [one.state for one in _of(folder, "lock")] == [SOUND]


@pytest.mark.skipif(os.name == "nt" or not os.geteuid(), reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    folder.chmod(0o500)
    try:
        assert [one.state for one in _of(folder, "folder")] == [NOTE]
    finally:
        folder.chmod(0o700)


def test_too_little_free_space_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage)
    [note] = _of(folder, "space")
    assert note.state == NOTE
    assert note.detail.startswith("0.0 MB are free")
