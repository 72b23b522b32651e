"""Watching: a change is told of once and never missed; what a walk passes over is not."""

from __future__ import annotations

import os
import queue
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragcli.corpus.selection import EVERYTHING
from ragcli.corpus.watching import Watched, changes

NEXT_SECONDS = 20
SILENCE_SECONDS = 1.0

Moments = Callable[[float], bool]


def _watched(*roots: Path, index: Path) -> Watched:
    return Watched.beneath(roots, EVERYTHING, index_folder=index, unheeded=[index])


@pytest.fixture
def watch() -> Iterator[Callable[..., Moments]]:
    """Watch in a thread; what it returns waits so many seconds for the next change."""
    ended = threading.Event()

    def start(*roots: Path, index: Path, unheeded: tuple[Path, ...] = ()) -> Moments:
        moments: queue.Queue[None] = queue.Queue()

        def run() -> None:
            for _ in changes(roots, EVERYTHING, index_folder=index, unheeded=unheeded):
                if ended.is_set():
                    return
                moments.put(None)

        def told(seconds: float) -> bool:
            try:
                moments.get(timeout=seconds)
            except queue.Empty:
                return False
            while not moments.empty():
                moments.get()
            return True

        threading.Thread(target=run, daemon=True).start()
        assert told(NEXT_SECONDS), "the start"
        return told

    yield start
    ended.set()


def test_a_change_is_told_of_wherever_a_walk_looks(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    docs = tmp_path / "docs"
    (docs / "deep").mkdir(parents=True)
    told = watch(docs, index=docs / ".ragcli")
    steps: list[Callable[[], object]] = [
        lambda: (docs / "a.md").write_text("new"),
        lambda: (docs / "deep" / "b.md").write_text("new"),
        lambda: (docs / "a.md").write_text("edited"),
        lambda: (docs / "a.md").rename(docs / "c.md"),
        (docs / "deep" / "b.md").unlink,
        lambda: (docs / ".gitignore").write_text("*.txt"),
    ]
    for number, step in enumerate(steps):
        step()
        assert told(NEXT_SECONDS), number


def test_many_changes_are_one(tmp_path: Path, watch: Callable[..., Moments]) -> None:
    told = watch(tmp_path, index=tmp_path / ".ragcli")
    for number in range(200):
        (tmp_path / f"{number}.md").write_text("new")
    moments = 0
    while told(NEXT_SECONDS if not moments else SILENCE_SECONDS):
        moments += 1
    assert 1 <= moments <= 3  # on a busy machine the writing may pause


def test_a_folder_that_comes_goes_and_comes_again_is_watched(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    told = watch(tmp_path, index=tmp_path / ".ragcli")
    folder = tmp_path / "folder" / "within"
    for edition in ("first", "second"):
        folder.mkdir(parents=True)
        assert told(NEXT_SECONDS), edition
        told(SILENCE_SECONDS)
        (folder / "a.md").write_text(edition)
        assert told(NEXT_SECONDS), edition
        shutil.rmtree(folder.parent)
        assert told(NEXT_SECONDS), edition
        told(SILENCE_SECONDS)


def test_a_root_that_vanishes_is_awaited(tmp_path: Path, watch: Callable[..., Moments]) -> None:
    root = tmp_path / "above" / "docs"
    root.mkdir(parents=True)
    told = watch(root, index=tmp_path / ".ragcli")
    shutil.rmtree(root.parent)
    assert told(NEXT_SECONDS)
    told(SILENCE_SECONDS)
    root.mkdir(parents=True)
    assert told(NEXT_SECONDS)
    told(SILENCE_SECONDS)
    (root / "a.md").write_text("new")
    assert told(NEXT_SECONDS)


def test_a_file_that_an_editor_replaces_is_told_of_and_its_neighbours_are_not(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    file, neighbour = tmp_path / "a.md", tmp_path / "b.md"
    file.write_text("first")
    told = watch(file, index=tmp_path / ".ragcli")
    for edition in ("second", "third"):
        neighbour.write_text(edition)
        assert not told(SILENCE_SECONDS)
        neighbour.replace(file)
        assert told(NEXT_SECONDS)


def test_what_a_walk_passes_over_is_not_told_of(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    index, log, ignored = tmp_path / "index", tmp_path / "log.jsonl", tmp_path / "build"
    for folder in (index, ignored, tmp_path / ".git"):
        folder.mkdir()
    (tmp_path / ".gitignore").write_text("build/")
    told = watch(tmp_path, index=index, unheeded=(log,))
    for path in (
        index / "catalogue.sqlite",
        log,
        ignored / "a.md",
        tmp_path / ".git" / "b.md",
        tmp_path / ".a.md.swp",
        tmp_path / "build.log",
    ):
        path.write_text("new")
    assert not told(SILENCE_SECONDS)
    (tmp_path / "sentinel.md").write_text("it did watch")
    assert told(NEXT_SECONDS)


def test_a_folder_above_that_is_replaced_is_noticed(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    root = tmp_path / "above" / "docs"
    root.mkdir(parents=True)
    told = watch(root, index=tmp_path / ".ragcli")
    root.parent.rename(tmp_path / "old")
    root.mkdir(parents=True)
    assert told(NEXT_SECONDS)
    told(SILENCE_SECONDS)
    (root / "a.md").write_text("new")
    assert told(NEXT_SECONDS)


def test_a_link_that_leads_elsewhere_is_noticed(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("first")
    told = watch(tmp_path / "current", index=tmp_path / ".ragcli")
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").replace(tmp_path / "current")
    assert told(NEXT_SECONDS)
    told(SILENCE_SECONDS)
    (tmp_path / "second" / "a.md").write_text("new")
    assert told(NEXT_SECONDS)


def test_the_target_of_a_link_that_is_named_is_watched(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "there" / "a.md").write_text("first")
    (tmp_path / "here" / "link.md").symlink_to(tmp_path / "there" / "a.md")
    told = watch(tmp_path / "here" / "link.md", index=tmp_path / ".ragcli")
    (tmp_path / "there" / "a.md").write_text("second")
    assert told(NEXT_SECONDS)


def test_ignore_files_above_are_heeded(tmp_path: Path, watch: Callable[..., Moments]) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "docs").mkdir()
    told = watch(tmp_path / "docs", index=tmp_path / ".ragcli")
    (tmp_path / ".gitignore").write_text("*.txt")
    assert told(NEXT_SECONDS)


def test_one_folder_by_two_names_is_watched_once(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("first")
    (tmp_path / "link").symlink_to("docs")
    told = watch(tmp_path / "docs", tmp_path / "link" / "a.md", index=tmp_path / ".ragcli")
    (tmp_path / "docs" / "n.md").write_text("new")
    assert told(NEXT_SECONDS)


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system refuses such names")
def test_a_name_that_is_not_unicode_ends_nothing(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    told = watch(tmp_path, index=tmp_path / ".ragcli")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("new")
    assert told(NEXT_SECONDS)
    told(SILENCE_SECONDS)
    (tmp_path / "a.md").write_text("new")
    assert told(NEXT_SECONDS)


def test_unheeded_files_are_known_by_every_spelling(tmp_path: Path) -> None:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    odd = tmp_path / "docs" / "sub" / ".."
    watched = Watched.beneath(
        [tmp_path / "docs"], EVERYTHING, index_folder=odd / "idx", unheeded=[odd / "log.jsonl"]
    )
    assert not watched.concerns(str(tmp_path / "docs" / "idx"))
    assert not watched.concerns(str(tmp_path / "docs" / "log.jsonl"))


def test_what_does_not_concern_us_does_not_keep_us_from_looking(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    ended = threading.Event()

    def make_noise() -> None:
        while not ended.wait(0.05):
            (tmp_path / ".noise").write_text("x")

    noise = threading.Thread(target=make_noise)
    noise.start()
    try:
        told = watch(tmp_path, index=tmp_path / ".ragcli")  # the start is told of
        (tmp_path / "a.md").write_text("new")
        assert told(NEXT_SECONDS)
    finally:
        ended.set()
        noise.join()


def test_a_file_that_is_being_written_is_awaited_with_patience(
    tmp_path: Path, watch: Callable[..., Moments]
) -> None:
    told = watch(tmp_path, index=tmp_path / ".ragcli")
    moments = 0
    with (tmp_path / "a.md").open("w") as file:
        for _ in range(20):
            file.write("words ")
            file.flush()
            moments += told(0.1)
    assert moments <= 1  # of two seconds; a busy machine may have paused
    assert told(NEXT_SECONDS)


def test_only_folders_that_a_walk_lists_are_watched(tmp_path: Path) -> None:
    for name in ("docs/deep", "docs/node_modules/x", "docs/.hidden", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "docs" / ".gitignore").write_text("node_modules/")
    (tmp_path / "docs" / "link").symlink_to(tmp_path / "elsewhere")
    watched = _watched(tmp_path / "docs", index=tmp_path / ".ragcli")
    assert watched.places == (str(tmp_path / "docs"), str(tmp_path / "docs" / "deep"))
    assert watched.concerns(str(tmp_path / "docs" / "a.md"))
    assert not watched.concerns(str(tmp_path / "elsewhere" / "a.md"))


def test_of_a_missing_root_the_nearest_folder_above_is_watched(tmp_path: Path) -> None:
    watched = _watched(tmp_path / "no" / "such" / "folder", index=tmp_path / ".ragcli")
    assert watched.places == (str(tmp_path),)
    assert watched.concerns(str(tmp_path / "no"))
    assert not watched.concerns(str(tmp_path / "nothing"))
