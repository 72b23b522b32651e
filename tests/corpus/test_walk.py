import codecs
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ragcli.corpus.walk import (
    EVERYTHING,
    INDEX_MARK,
    INDEX_NAME,
    FoundFile,
    Problem,
    Selection,
    looks_binary,
    walk,
)
from ragcli.store.locate import CATALOGUE_NAME, DEFAULT_FOLDER


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


def test_a_folder_named_outright_is_walked_though_ignored(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path / ".gitignore", "build/\n*.txt\n")
    for name in ("build/a.md", "build/a.txt", "build/build/b.md"):
        write(tmp_path / name)
    assert found(tmp_path) == []
    assert found(tmp_path, tmp_path / "build") == ["build/a.md"]


def test_the_folder_of_an_index_is_never_read(tmp_path: Path) -> None:
    assert (INDEX_NAME, INDEX_MARK) == (DEFAULT_FOLDER, CATALOGUE_NAME)
    write(tmp_path / "a.md")
    for folder in ("index", ".ragcli", "new"):
        write(tmp_path / folder / "notes.md")
    index = write(tmp_path / "index/catalogue.sqlite").parent
    assert found(tmp_path) == ["a.md", "new/notes.md"]
    (file,) = walk([tmp_path], index_folder=tmp_path / "new")
    assert file.path == str(tmp_path / "a.md")
    reason = "the folder of an index; it has no documents"
    for folder in (index, tmp_path / ".ragcli", tmp_path / "new"):
        assert list(walk([folder], index_folder=tmp_path / "new")) == [Problem(str(folder), reason)]


def test_what_vanishes_during_the_walk_is_no_problem(tmp_path: Path) -> None:
    for name in ("a.md", "b/c.md", "d/e.md"):
        write(tmp_path / name)
    walked = walk([tmp_path, tmp_path / "gone"])
    next(walked)
    shutil.rmtree(tmp_path / "b")
    file, gone = walked
    assert isinstance(file, FoundFile)
    assert file.file == tmp_path / "d/e.md"
    assert gone == Problem(str(tmp_path / "gone"), "no such file or folder")


def test_special_files_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.md")
    for name in ("pipe.txt", ".gitignore", "sub/.ragcliignore", "sub/.git/info/exclude"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / name)  # to open one waits for ever
    write(tmp_path / "sub/b.md")
    monkeypatch.chdir(tmp_path)  # the path of a socket has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.txt")
        assert found(tmp_path) == ["a.md", "sub/b.md"]
    (special,) = walk([tmp_path / "pipe.txt"])
    assert special == Problem(str(tmp_path / "pipe.txt"), "neither a file nor a folder")


def test_a_walk_opens_nothing_but_folders_and_ignore_files(tmp_path: Path) -> None:
    for name in (".git/info/exclude", ".gitignore", "a.md", "b.ts", "sub/c.pdf", "sub/.gitignore"):
        write(tmp_path / name)
    script = (
        "import sys, pathlib; from ragcli.corpus.walk import walk; list(walk([]));"
        "sys.addaudithook(lambda event, given: event == 'open' and print(given[0]));"
        "list(walk([pathlib.Path(sys.argv[1])]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert [os.path.relpath(line, tmp_path) for line in finished.stdout.splitlines()] == [
        ".git/info/exclude",
        ".gitignore",
        "sub/.gitignore",
    ]


def test_control_characters_in_names_are_names(tmp_path: Path) -> None:
    name = "a\x1b[31m\n\t.md"
    write(tmp_path / name)
    assert found(tmp_path) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names that are any bytes")
def test_a_name_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    file = write(tmp_path / os.fsdecode(b"caf\xe9.txt"))
    write(tmp_path / os.fsdecode(b"d\xe9j\xe0/a.txt"))
    write(tmp_path / os.fsdecode(b"d\xe9j\xe0/b.txt"))
    write(tmp_path / os.fsdecode(b"unsupported\xe9"))
    problems = [found for found in walk([tmp_path, file]) if isinstance(found, Problem)]
    assert [problem.path.removeprefix(f"{tmp_path}/") for problem in problems] == [
        r"caf\udce9.txt",
        r"d\udce9j\udce0",
    ]
    for problem in problems:
        problem.path.encode("utf-8")
        assert "not valid UTF-8" in problem.reason
    write(tmp_path / ".gitignore", b"caf\xe9*\nd?j?\n")
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "is_binary"),
    [
        (b"", False),
        ("déjà".encode(), False),
        (b"G\0\0", True),
        (b"a" * 8191 + b"\0", True),
        (b"a" * 8192 + b"\0", False),
        ("print()".encode("utf-16"), False),
        ("print()".encode("utf-16-be"), True),
        (codecs.BOM_UTF16_BE + "print()".encode("utf-16-be"), False),
        ("print()".encode("utf-32"), False),
        (codecs.BOM_UTF32_BE + "print()".encode("utf-32-be"), False),
    ],
)
def test_a_nul_makes_a_file_binary_unless_it_is_marked_as_wide(
    tmp_path: Path, content: bytes, is_binary: bool
) -> None:
    assert looks_binary(write(tmp_path / "film.ts", content)) is is_binary
    assert not looks_binary(tmp_path / "gone.ts")


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


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_whose_ignore_file_cannot_be_read_is_not_walked(tmp_path: Path) -> None:
    write(tmp_path / "private/a.txt")
    write(tmp_path / "private/.ragcliignore", "a.txt").chmod(0)
    write(tmp_path / "open.txt")
    open_file, private = walk([tmp_path])
    assert isinstance(open_file, FoundFile)
    assert private == Problem(str(tmp_path / "private"), "cannot be read: Permission denied")
