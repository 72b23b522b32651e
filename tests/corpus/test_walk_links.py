"""Symbolic links: passed over, or followed when the person asks for it."""

import os
from pathlib import Path

import pytest

from ragcli.corpus.walk import FoundFile, Selection, Skipped, walk

FOLLOWING = Selection(follow_symlinks=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "root/z.txt")
    return tmp_path / "root"


def write(file: Path, content: str = "words") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def followed(root: Path, *roots: Path) -> list[str]:
    found = list(walk(roots or (root,), FOLLOWING))
    assert all(isinstance(file, FoundFile) for file in found), found
    return [os.path.relpath(file.path, root) for file in found]


def test_a_link_may_lead_outside_and_comes_last(root: Path) -> None:
    outside = write(root.parent / "outside/deep/a.txt").parent.parent
    link(root / "a", outside)
    link(root / "b.txt", write(root.parent / "single"))
    assert followed(root) == ["z.txt", "a/deep/a.txt", "b.txt"]


def test_a_file_is_met_once_under_its_own_name(root: Path) -> None:
    link(root / "a.txt", root / "z.txt")
    link(root / "b.txt", root / "a.txt")
    write(root / "sub/c.txt")
    link(root / "also", root / "sub")
    assert followed(root) == ["sub/c.txt", "z.txt"]
    assert followed(root, root, root / "sub", root / "a.txt") == ["sub/c.txt", "z.txt"]


def test_loops_end(root: Path) -> None:
    link(root / "up", root)
    link(root / "top", root.parent)
    link(root / "sub/loop", root / "sub")
    link(root.parent / "beside/back", root)
    write(root.parent / "beside/a.txt")
    assert followed(root) == ["z.txt", "top/beside/a.txt"]


def test_many_links_to_each_other_are_no_more_than_their_folders(root: Path) -> None:
    folders = [root.parent / f"ring/{n}" for n in range(12)]
    for folder in folders:
        write(folder / "a.txt")
    for folder in folders:
        for other in folders:
            link(folder / f"to{other.name}", other)
    link(root / "ring", root.parent / "ring")
    assert len(followed(root)) == 1 + len(folders)


def test_hard_links_are_files_of_their_own(root: Path) -> None:
    os.link(root / "z.txt", root / "y.txt")
    assert followed(root) == ["y.txt", "z.txt"]


def test_rules_hold_for_links_and_behind_them(root: Path) -> None:
    outside = root.parent / "outside"
    for name in ("a.txt", "b.txt", "c.txt"):
        write(outside / name)
    write(outside / ".gitignore", "b.txt\n")
    write(root / ".gitignore", "/build/\nc.txt\nlinked.txt\n")
    link(root / "build", outside)
    link(root / ".hidden", outside)
    link(root / "linked.txt", outside / "a.txt")
    assert followed(root) == ["z.txt"]
    link(root / "docs", outside)
    assert followed(root) == ["z.txt", "docs/a.txt"]


def test_a_link_that_cannot_be_followed_is_told_of(root: Path) -> None:
    link(root / "gone.txt", root / "nowhere.txt")
    link(root / "loop.txt", root / "loop.txt")
    link(root / "gone.png", root / "nowhere.png")
    write(root / ".ragcliignore", "ignored.txt\n")
    link(root / "ignored.txt", root / "nowhere.txt")
    file, gone, loop = walk([root], FOLLOWING)
    assert isinstance(file, FoundFile)
    assert gone == Skipped(
        str(root / "gone.txt"), "a link that cannot be followed: no such file or folder"
    )
    assert isinstance(loop, Skipped)
    assert loop.path == str(root / "loop.txt")


def test_a_link_to_what_is_no_file_is_passed_over(root: Path) -> None:
    os.mkfifo(root.parent / "pipe")
    link(root / "pipe.txt", root.parent / "pipe")
    assert followed(root) == ["z.txt"]


def test_the_folder_of_an_index_is_not_read_through_a_link(root: Path) -> None:
    index = write(root.parent / "index/catalogue.sqlite").parent
    write(index / "a.txt")
    write(root.parent / ".ragcli/b.txt")
    link(root / "one", index)
    link(root / "two", root.parent / ".ragcli")
    assert followed(root) == ["z.txt"]


def test_a_root_that_is_a_link_is_followed_though_links_are_not(root: Path) -> None:
    named = root.parent / "named"
    link(named, root)
    link(root / "a.txt", root / "z.txt")
    (file,) = walk([named])
    assert isinstance(file, FoundFile)
    assert file.path == str(named / "z.txt")
    (named_file,) = walk([root / "a.txt", named, root])
    assert isinstance(named_file, FoundFile)
    assert named_file.path == str(named / "z.txt")
