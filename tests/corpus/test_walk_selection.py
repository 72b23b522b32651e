"""What a person asks for beyond the ignore files: patterns, sizes, archives."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.corpus.selection import DEFAULT_MAX_FILE_SIZE, parse_size, shown_size
from ragcli.corpus.walk import FoundFile, Problem, Selection, Skipped, walk

TREE = ("a.md", "b.txt", "docs/a.md", "docs/drafts/c.md", "docs/drafts/d.txt", "src/e.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in TREE:
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("words")
    return tmp_path / "root"


def chosen(root: Path, selection: Selection, *roots: Path) -> list[str]:
    found = list(walk(roots or (root,), selection))
    assert all(isinstance(file, FoundFile) for file in found), found
    return [os.path.relpath(file.path, root) for file in found]


@pytest.mark.parametrize(
    ("include", "files"),
    [
        ((), list(TREE)),
        (("*.md",), ["a.md", "docs/a.md", "docs/drafts/c.md"]),
        (("/*.md",), ["a.md"]),
        (("./*.md",), ["a.md"]),
        (("docs/",), ["docs/a.md", "docs/drafts/c.md", "docs/drafts/d.txt"]),
        (("docs/*.md",), ["docs/a.md"]),
        (("docs/**/*.md",), ["docs/a.md", "docs/drafts/c.md"]),
        (("docs", "!drafts"), ["docs/a.md"]),
        (("docs", "!drafts", "d.txt"), ["docs/a.md", "docs/drafts/d.txt"]),
        (("d.txt", "!drafts"), []),
        (("!docs/",), ["a.md", "b.txt", "src/e.py"]),
        (("*.md", "src"), ["a.md", "docs/a.md", "docs/drafts/c.md", "src/e.py"]),
        (("*.png",), []),
        (("root",), list(TREE)),  # the name of the root itself
    ],
)
def test_include_takes_what_its_last_pattern_says(
    root: Path, include: tuple[str, ...], files: list[str]
) -> None:
    assert chosen(root, Selection(include=include)) == files


@pytest.mark.parametrize(
    ("exclude", "files"),
    [
        (("*.md",), ["b.txt", "docs/drafts/d.txt", "src/e.py"]),
        (("docs/",), ["a.md", "b.txt", "src/e.py"]),
        (("docs", "!docs/a.md"), ["a.md", "b.txt", "src/e.py"]),  # git: not from beneath
        (("docs/drafts", "./a.md", "src"), ["b.txt", "docs/a.md"]),
        (("root",), []),
    ],
)
def test_exclude_leaves_out_what_git_would(
    root: Path, exclude: tuple[str, ...], files: list[str]
) -> None:
    assert chosen(root, Selection(exclude=exclude)) == files


def test_exclude_decides_over_ignore_files_and_include_does_not(root: Path) -> None:
    (root / ".gitignore").write_text("docs\nb.txt\n")
    assert chosen(root, Selection(include=("*.txt", "*.py"))) == ["src/e.py"]
    both = Selection(include=("*.txt", "*.py"), exclude=("!docs", "e.py"))
    assert chosen(root, both) == ["docs/drafts/d.txt"]


def test_patterns_hold_for_named_files_and_folders_as_a_shell_names_them(root: Path) -> None:
    named = [root / name for name in ("a.md", "b.txt", "docs", "src")]
    assert chosen(root, Selection(include=("*.md",)), *named) == [
        "a.md",
        "docs/a.md",
        "docs/drafts/c.md",
    ]
    assert chosen(root, Selection(exclude=("docs/", "a.md")), *named) == ["b.txt", "src/e.py"]


def test_patterns_are_relative_to_each_root(root: Path) -> None:
    anchored = Selection(include=("/a.md",))
    assert chosen(root, anchored, root / "docs") == ["docs/a.md"]
    assert chosen(root, anchored, root, root / "docs") == ["a.md", "docs/a.md"]


def test_a_pattern_given_by_hand_has_no_comments(root: Path) -> None:
    (root / "#a.md").write_text("words")
    assert chosen(root, Selection(include=("#a.md",))) == ["#a.md"]


def test_a_file_that_is_too_large_is_told_of_also_when_it_is_named(root: Path) -> None:
    (root / "a.md").write_text("w" * 2000)
    small = Selection(include=("*.md",), max_file_size=1500)
    skipped, *others = walk([root, root / "a.md"], small)
    assert skipped == Skipped(
        str(root / "a.md"), "larger than 1.5 kB (2 kB); raise --max-file-size to read it"
    )
    assert len(others) == 2
    (named,) = walk([root / "a.md"], small)
    assert named == skipped
    for enough in (0, 2000):
        (file,) = walk([root / "a.md"], Selection(max_file_size=enough))
        assert isinstance(file, FoundFile)
        assert file.size == 2000


def test_a_file_that_is_not_wanted_is_never_too_large(root: Path) -> None:
    (root / "image.png").write_bytes(b"0" * 100)
    (root / "ignored.md").write_bytes(b"0" * 100)
    (root / ".gitignore").write_text("ignored.md\n")
    tiny = Selection(exclude=("docs",), include=("!b.txt",), max_file_size=50)
    assert chosen(root, tiny) == ["a.md", "src/e.py"]


def test_archives_are_met_when_they_are_asked_for(root: Path) -> None:
    for name in ("x.zip", "y.tar.gz", ".zip"):
        (root / name).write_bytes(b"PK")
    only = ("*.zip", "*.tar.*")
    assert chosen(root, Selection(include=only)) == []
    assert chosen(root, Selection(include=only, archives=True)) == ["x.zip", "y.tar.gz"]
    (named,) = walk([root / "x.zip"])
    assert named == Problem(str(root / "x.zip"), "an archive; --archives reads the files in it")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1234", 1234),
        ("500k", 500_000),
        ("10M", 10_000_000),
        ("10 MB", 10_000_000),
        ("1G", 10**9),
        ("2t", 2 * 10**12),
        ("1MiB", 1 << 20),
        ("1.5gib", 3 << 29),
        ("0.1k", 100),
        ("12b", 12),
        (" 7 ", 7),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1e3", "10X", "1,5M", "1iB", "٣", "1 0", "nan"])
def test_what_is_no_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"no size: .* such as 500k, 10M"):
        parse_size(text)


@given(st.integers(0, 10**15))
def test_a_size_is_shown_as_one_that_can_be_read(size: int) -> None:
    shown = shown_size(size)
    assert abs(parse_size(shown.removesuffix("ytes")) - size) <= size / 20
    assert parse_size(str(size)) == size


def test_the_size_that_is_usual_is_shown_without_a_fraction() -> None:
    assert shown_size(DEFAULT_MAX_FILE_SIZE) == "100 MB"
