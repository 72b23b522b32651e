import os
import sys
from pathlib import Path

import pytest

from ragcli.corpus.walk import EVERYTHING, FoundFile, Problem, Selection, walk


def write(file: Path, content: str | bytes = "words") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def found(root: Path, *roots: Path, selection: Selection = EVERYTHING) -> list[str]:
    """Paths below ``root``, as posix text, that a walk over ``roots`` (or ``root``) yields."""
    met = list(walk(roots or (root,), selection))
    assert all(isinstance(file, FoundFile) for file in met), met
    return [Path(file.path).relative_to(root).as_posix() for file in met]


def test_files_come_sorted_once_and_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.md", "a/z.txt", "a/B.PDF", "c.py"):
        write(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert found(tmp_path, Path(), Path("a"), Path("b.md")) == [
        "a/B.PDF",
        "a/z.txt",
        "b.md",
        "c.py",
    ]
    (file,) = walk([Path("b.md")])
    assert isinstance(file, FoundFile)
    assert file.file == tmp_path / "b.md"
    assert (file.size, file.modified_ns) == (5, file.file.stat().st_mtime_ns)


def test_hidden_and_unsupported_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "kept.txt")
    write(tmp_path / ".hidden.txt")
    write(tmp_path / ".ragcli/notes.txt")
    write(tmp_path / "image.png")
    assert found(tmp_path) == ["kept.txt"]


def test_ignore_files_hold_as_in_git(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "build/\n*.txt\n!keep.txt\n/top.md\n")
    write(tmp_path / "sub/.ragcliignore", "!again.txt\nprivate.md\n")
    for name in ("build/a.md", "a.txt", "keep.txt", "top.md", "sub/top.md"):
        write(tmp_path / name)
    for name in ("sub/again.txt", "sub/private.md", "sub/deep/private.md", "private.md"):
        write(tmp_path / name)
    assert found(tmp_path) == ["keep.txt", "private.md", "sub/again.txt", "sub/top.md"]


def test_rules_above_the_root_hold_inside_a_repository(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*.log.txt\n")
    write(tmp_path / "repository/.gitignore", "secret.md\n")
    (tmp_path / "repository/.git").mkdir()
    for name in ("secret.md", "a.log.txt", "open.md"):
        write(tmp_path / "repository/docs" / name)
    root = tmp_path / "repository/docs"
    assert found(root) == ["a.log.txt", "open.md"]


def test_a_file_named_outright_is_taken_though_ignored(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*.md\n")
    file = write(tmp_path / "a.md")
    hidden = write(tmp_path / ".hidden.md")
    assert found(tmp_path, file, hidden) == [".hidden.md", "a.md"]
    assert found(tmp_path) == []


def test_roots_that_cannot_be_meant_are_problems(tmp_path: Path) -> None:
    image, bare = write(tmp_path / "a.png"), write(tmp_path / "README")
    problems = list(walk([tmp_path / "gone", image, bare]))
    assert problems == [
        Problem(str(bare), "a file without a suffix"),
        Problem(str(image), "unsupported format '.png'"),
        Problem(str(tmp_path / "gone"), "no such file or folder"),
    ]


def test_links_neither_loop_nor_lead_outside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root / "a/real.txt")
    outside = write(tmp_path / "outside/secret.txt")
    (root / "a/loop").symlink_to(root, target_is_directory=True)
    (root / "out").symlink_to(outside.parent, target_is_directory=True)
    (root / "secret.txt").symlink_to(outside)
    (root / "broken.txt").symlink_to(root / "gone.txt")
    assert found(root) == ["a/real.txt"]
    named = tmp_path / "link"
    named.symlink_to(root, target_is_directory=True)
    assert found(named) == ["a/real.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names that are any bytes")
def test_a_name_that_is_no_text_and_a_special_file(tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"caf\xe9.txt"))
    os.mkfifo(tmp_path / "pipe.txt")
    (problem,) = walk([tmp_path])
    assert isinstance(problem, Problem)
    problem.path.encode("utf-8")
    assert "not valid UTF-8" in problem.reason
    (special,) = walk([tmp_path / "pipe.txt"])
    assert special == Problem(str(tmp_path / "pipe.txt"), "neither a file nor a folder")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path / "closed/a.txt")
    write(tmp_path / "open.txt")
    (tmp_path / "closed").chmod(0)
    try:
        closed, open_file = walk([tmp_path])
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert isinstance(closed, Problem)
    assert "Permission denied" in closed.reason
    assert open_file.path == str(tmp_path / "open.txt")
