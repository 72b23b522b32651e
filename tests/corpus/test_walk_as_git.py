"""Ignore files mean what they mean to git: random trees, and git's own word on each file."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragcli.corpus.walk import FoundFile, walk

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

FOLDERS = ["a", "b", "ab", "a.md", "é", "[a]"]
FILES = ["a.md", "b.md", "ab.md", "é.md", "!a.md", "#a.md", " a.md", "a b.md", "[a].md", "a\\b.md"]
PIECES = (
    "a b ab a.md .md * ** *** ? / / / **/ /** /**/ [a-c] [!a] [^b] []a] [a-] [b-a] [a/] [[:alpha:]]"
    " [[:nonsense:]] [[:al [a \\a \\* \\/ \\\\ ! # é [é] ?? ]"
).split()
BEGINNINGS = ["", "", "", "!", "!", "/", "!/", "#", "\\#", "\\!", " ", "**/", "*"]
ENDS = ["", "", "", "/", "/", "/**", ".md", " ", "  ", "\\ ", "\\  ", "\t", "\r", "\\"]

names = st.sampled_from(FOLDERS)
files = st.tuples(st.lists(names, max_size=3).map("/".join), st.sampled_from(FILES)).map("/".join)
lines = st.tuples(
    st.sampled_from(BEGINNINGS),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
    st.sampled_from(ENDS),
).map("".join)
ignore_files = st.dictionaries(
    st.lists(names, max_size=2).map("/".join),
    st.lists(lines, max_size=6).map("\n".join),
    max_size=4,
)


def git(folder: Path, *arguments: str) -> str:
    """What a git without any settings of this machine prints, whatever bytes names have."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    homeless = {"HOME": str(folder / ".git"), "XDG_CONFIG_HOME": str(folder / ".git")}
    finished = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**plain, **nowhere, **homeless},
        stdout=subprocess.PIPE,
        check=True,
    )
    return os.fsdecode(finished.stdout)


def write(file: Path, content: str = "words") -> None:
    """Write a file, unless the tree has a folder in its place, or a file in that of a folder."""
    if file.is_dir() or any(above.is_file() for above in file.parents):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode())


def met(top: Path) -> set[str]:
    found = list(walk([top]))
    assert all(isinstance(file, FoundFile) for file in found), found
    return {os.path.relpath(file.path, top) for file in found}


def not_ignored_by_git(top: Path) -> set[str]:
    listed = git(top, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
    return {path for path in listed if path.endswith(".md")}


@settings(max_examples=100, deadline=None)
@given(st.sets(files, min_size=1, max_size=12), ignore_files, st.lists(lines, max_size=2))
def test_a_walk_meets_what_git_does_not_ignore(
    tree: set[str], ignored: dict[str, str], excluded: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        for file in sorted(tree):
            write(top / file.lstrip("/"))
        for folder, content in ignored.items():
            write(top / folder / ".gitignore", content)
        git(top, "init", "--quiet")
        write(top / ".git/info/exclude", "\n".join(excluded))
        assert met(top) == not_ignored_by_git(top)


@pytest.mark.parametrize(
    "patterns",
    [
        "a\n!/**/",  # the folder a is taken back, and by that pattern nothing in it
        "*/\n!a/",  # "!a/" speaks of a, not of the folders in it
        "/a**/b.md",  # stars after a beginning without wildcards reach across folders
        "a?.md",  # a byte, and é is two
        "a??.md",
        "[[:foo:]]\na.md",  # no such class: the pattern matches nothing
        "**/**/b.md",
        "b/**/**/b.md",
        "**/a\\/b.md",
        "**/***\\/a?.md**",
        "a/*/b.md",
        "*\n!*/\n!b.md",
        "*\n!b.md",  # what lies in an ignored folder cannot be taken back
        "a.md\t",
        "/",
        "//",
        "***",
        "!",
        "\\",
    ],
)
def test_patterns_that_are_easily_misread(tmp_path: Path, patterns: str) -> None:
    for folder in ("", "a", "a/b", "a/a/b", "b/a/b", "é"):
        for name in ("a.md", "b.md", "aé.md"):
            write(tmp_path / folder / name)
    write(tmp_path / ".gitignore", patterns)
    git(tmp_path, "init", "--quiet")
    assert met(tmp_path) == not_ignored_by_git(tmp_path)


def test_the_exclude_file_of_a_work_tree_is_that_of_its_repository(tmp_path: Path) -> None:
    main, tree = tmp_path / "main", tmp_path / "tree"
    write(main / "a.md")
    git(main, "init", "--quiet")
    git(main, "add", "a.md")
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git(main, *author, "commit", "--quiet", "--message", "a")
    git(main, "worktree", "add", "--quiet", "--detach", str(tree))
    write(main / ".git/info/exclude", "b.md\n")
    write(tree / "b.md")
    write(tree / "docs/b.md")
    assert met(tree) == {"a.md"}
    assert met(tree / "docs") == set()


def test_a_repository_within_another_has_only_its_own_rules(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*.md\n!inner/\n")
    write(tmp_path / ".ragcliignore", "private.md\n")
    for file in ("a.md", "inner/a.md", "inner/b.md", "inner/private.md"):
        write(tmp_path / file)
    write(tmp_path / "inner/.gitignore", "b.md\n")
    git(tmp_path, "init", "--quiet")
    assert met(tmp_path) == set()
    git(tmp_path / "inner", "init", "--quiet")
    assert not_ignored_by_git(tmp_path / "inner") == {"a.md", "private.md"}
    assert met(tmp_path) == {"inner/a.md"}
    assert met(tmp_path / "inner") == {"a.md", "private.md"}


def test_unlike_for_git_rules_hold_for_files_that_are_tracked(tmp_path: Path) -> None:
    write(tmp_path / "a.md")
    write(tmp_path / ".gitignore", "*.md\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--force", "a.md")
    assert met(tmp_path) == set()


def test_unlike_for_git_what_a_person_ignores_everywhere_is_not_ignored(tmp_path: Path) -> None:
    write(tmp_path / "a.md")
    git(tmp_path, "init", "--quiet")
    write(tmp_path / "everywhere", "*.md\n")
    git(tmp_path, "config", "core.excludesFile", str(tmp_path / "everywhere"))
    assert not_ignored_by_git(tmp_path) == set()
    assert met(tmp_path) == {"a.md"}
